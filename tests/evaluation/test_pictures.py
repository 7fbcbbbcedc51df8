"""Strips of frames of generated videos: two classes of each dataset, the same bytes each time."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidprism.config import Config, ConfigError, load_config, paths
from vidprism.evaluation import pictures
from vidprism.videos.manifest import load_manifest, prepare

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def config(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The mini profile on a handful of videos."""
    base = load_config("mini", ROOT)
    protocol = replace(base.profile.protocol, dev_per_class=1, shots=(1,), draw_seeds=(0,))
    profile = replace(base.profile, root=str(tiny_world), protocol=protocol)
    config = replace(base, profile=profile, root_dir=tmp_path_factory.mktemp("pictures"))
    for dataset in config.profile.datasets:
        prepare(config, dataset)
    return config


def test_two_classes_of_each_dataset_and_the_same_bytes(config: Config) -> None:
    found = pictures.write_pictures(config)
    content = {strip["file"]: (paths.pictures(config) / strip["file"]).read_bytes() for strip in found}
    assert sorted({strip["dataset"] for strip in found}) == sorted(config.profile.datasets)
    assert len(content) == len(found) == 8
    assert json.loads(paths.results(config, "pictures").read_text(encoding="utf-8")) == found
    for strip in found:
        assert hashlib.sha256(content[strip["file"]]).hexdigest() == strip["sha256"]
        picture = Image.open(io.BytesIO(content[strip["file"]]))
        assert (picture.format, picture.size) == ("WEBP", (8 * 64, 48))
    stray = paths.pictures(config) / "old.webp"
    stray.write_bytes(b"")
    assert pictures.write_pictures(config) == found and not stray.exists()
    assert {path.name: path.read_bytes() for path in paths.pictures(config).iterdir()} == content


def test_a_pair_of_opposites_comes_first(config: Config, tmp_path: Path) -> None:
    other = replace(config, profile=replace(config.profile, root=str(tmp_path)))
    (tmp_path / "ssv2").mkdir()
    pairs = {"d": "c", "c": "d", "b [thing]": "a", "a": "b [thing]"}
    (tmp_path / "ssv2" / "world.json").write_text(json.dumps({"opposite": pairs}), encoding="utf-8")
    assert pictures.shown_classes(other, "ssv2") == ["a", "b thing"]
    names = sorted(set(load_manifest(config, "ucf101")["class_name"]))
    assert pictures.shown_classes(config, "ucf101") == names[:2] and len(names) == 2, "no class has an opposite"


def test_a_strip_shows_its_frames_in_order() -> None:
    frames = np.stack([np.full((48, 64, 3), value, np.uint8) for value in (20, 120, 220)])
    picture = np.asarray(Image.open(io.BytesIO(pictures.strip(frames))).convert("L"))
    assert picture.shape == (48, 192)
    assert np.allclose([picture[:, i * 64 + 8 : i * 64 + 56].mean() for i in range(3)], (20, 120, 220), atol=4)


def test_an_unreadable_class_is_named(config: Config) -> None:
    manifest = paths.manifest(config, "ucf101") / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    try:
        manifest.write_text(text.replace("True", "False"), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"ucf101: no test video of the class '.*' can be read"):
            pictures.write_pictures(config)
    finally:
        manifest.write_text(text, encoding="utf-8")
