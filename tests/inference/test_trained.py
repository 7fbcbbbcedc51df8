"""A trained model answers a video file like the row that trained it; errors name what cannot be loaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from tests.methods import clips_world
from tests.synthetic_store import write_choice
from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones, datasets
from vidprism.config import Config, ConfigError, paths
from vidprism.config.rows import Row
from vidprism.features.extract import extract
from vidprism.inference.trained import load_trained
from vidprism.records.scores import load_scores
from vidprism.runs.train import train_here
from vidprism.videos.clips import Unreadable
from vidprism.videos.manifest import load_manifest

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return make_config(tmp_path)


def frozen(config: Config) -> Config:
    """The same on cached features."""
    config = replace(config, profile=replace(config.profile, protocol=replace(config.profile.protocol, track="frozen")))
    extract(config, "ucf101", "mini_clip")
    return config


def scored(config: Config, row: Row, repeat: int) -> tuple[list[Path], np.ndarray]:
    """The test videos, and their logits (N, V, C) as the row left them."""
    listed = load_manifest(config, "ucf101")
    test = listed[listed["split"] == "test"]["path"]
    logits = load_scores(paths.run(config, row.group, row.key) / "scores.npz", "ucf101_k2").logits[repeat]
    return [paths.dataset_root(config, "ucf101") / "videos" / path for path in test], logits


@pytest.mark.parametrize(
    ("method", "track"),
    [(method, track) for method in ("mean_pool", "vidprism_c", "clip_zeroshot") for track in ("frozen", "tuned")]
    + [("regression_halves", "frozen")],
)
def test_a_video_is_scored_as_in_the_row(config: Config, method: str, track: str) -> None:
    if track == "frozen":
        config = frozen(config)
    row = make_row(method, track=track, updates=0 if method == "clip_zeroshot" else 10)
    train_here(config, row)
    videos, logits_NVC = scored(config, row, repeat=1)
    model = load_trained(config, row, "ucf101", 2, repeat=1)
    for video, logits_VC in zip(videos[:4], logits_NVC, strict=False):
        np.testing.assert_allclose(model.score_views(video), logits_VC, atol=1e-3)
    probabilities_C = model.score_video(videos[0])
    np.testing.assert_allclose(probabilities_C, softmax(logits_NVC[0].mean(axis=0)), atol=1e-3)
    assert len(model.class_names) == len(probabilities_C) and probabilities_C.sum() == pytest.approx(1)


def described(config: Config) -> Config:
    """The same as a real dataset, with a file of sentences about its classes."""
    names = datasets.load_dataset("ucf101").class_names(paths.dataset_root(config, "ucf101"))
    kinds = ("spatial", "temporal")
    content = {name: {kind: [f"{kind} {n} of {name}" for n in range(4)] for kind in kinds} for name in names}
    folder = config.root_dir / "data" / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "said.json").write_text(json.dumps(content), encoding="utf-8")
    protocol = replace(config.profile.protocol, descriptions={"ucf101": "said.json"})
    return replace(config, profile=replace(config.profile, generated=False, protocol=protocol))


@pytest.mark.parametrize(
    ("method", "track"),
    [
        *((method, "tuned") for method in ("st_adapter", "m2_clip", "ost", "mote", "a5")),
        *((method, "frozen") for method in ("mote", "a5")),
    ],
)
def test_a_peer_scores_as_in_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, track: str) -> None:
    """On CLIP's towers: adapters, texts that train, sentences, draws, and weights that are mixed at the end."""
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": clips_world.backbone())
    config = described(make_config(tmp_path))
    write_choice(config, method, 0.01)
    if track == "frozen":
        config = frozen(config)
    row = make_row(method, track=track, updates=4)
    record = train_here(config, row)
    (cell,) = record["cells"]
    assert cell["parameters"] > 0 and (cell.get("descriptions", {}).get("file") == "said.json") == (method == "ost")
    videos, logits_NVC = scored(config, row, repeat=1)
    model = load_trained(config, row, "ucf101", 2, repeat=1)
    for video, logits_VC in zip(videos[:3], logits_NVC, strict=False):
        np.testing.assert_allclose(model.score_views(video), logits_VC, rtol=1e-3, atol=1e-3)


def test_the_repeats_differ(config: Config) -> None:
    row = make_row("mean_pool")
    train_here(config, row)
    (video, *_), _ = scored(config, row, 0)
    one, two = (load_trained(config, row, "ucf101", 2, repeat).score_views(video) for repeat in (0, 1))
    assert not np.allclose(one, two)


def test_what_cannot_be_loaded_is_named(config: Config, tmp_path: Path) -> None:
    row = make_row("mean_pool")
    with pytest.raises(ConfigError, match="`dvc repro` trains row 'mean_pool-tuned' of few_shot"):
        load_trained(config, row, "ucf101", 2)
    train_here(config, row)
    with pytest.raises(ConfigError, match="no cell 'ucf101_k4'; did you mean 'ucf101_k2'"):
        load_trained(config, row, "ucf101", 4)
    with pytest.raises(ConfigError, match=r"no repeat 7; it has \[0, 1\]"):
        load_trained(config, row, "ucf101", 2, repeat=7)
    (tmp_path / "no.mp4").write_bytes(b"")
    with pytest.raises(Unreadable):
        load_trained(config, row, "ucf101", 2).score_video(tmp_path / "no.mp4")


def test_a_head_without_its_backbone_is_refused(config: Config) -> None:
    row = make_row("mean_pool")
    config = changed(config, keep_weights="head")
    train_here(config, row)
    with pytest.raises(ConfigError, match=r"kept the weights of 'head' only; set train\.keep_weights to all"):
        load_trained(config, row, "ucf101", 2)
