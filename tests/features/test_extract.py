"""The feature store: layout, unreadable videos, fingerprints, failures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.small_config import small_config
from vidprism import backbones, datasets
from vidprism.config import Config, ConfigError, paths
from vidprism.datasets import DatasetError
from vidprism.features import encode, extract
from vidprism.features import store as store_file
from vidprism.features.store import INDEX_COLUMNS, open_store
from vidprism.videos import manifest
from vidprism.videos.clips import frame_indices, load_views


class FakeBackbone:
    """Embeds a frame as linear functions of its mean colour and of one corner; text as hashed letters."""

    dim, image_size, logit_scale, tubelet, has_text = 6, 24, 50.0, 1, True

    def __init__(self, factor: float = 1.0) -> None:
        self.module = nn.Linear(6, 6, bias=False)
        self.module.weight = nn.Parameter(factor * torch.arange(36.0).reshape(6, 6) / 36)
        self.calls: list[int] = []

    def encode_clips(self, clips: Tensor) -> Tensor:
        return self.encode_frames(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def encode_frames(self, frames: Tensor) -> Tensor:
        assert frames.dtype == torch.uint8 and frames.shape[1:] == (24, 24, 3)
        self.calls.append(len(frames))
        x = frames.float() / 255
        return self.module(torch.cat([x.mean(dim=(1, 2)), x[:, 0, 0]], dim=1))

    def encode_text(self, texts: list[str]) -> Tensor:
        counts = torch.tensor([[float(t.count(c)) + 0.1 for c in "aeorp "] for t in texts])
        return nn.functional.normalize(counts, dim=1)


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> FakeBackbone:
    fake = FakeBackbone()
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": fake)
    return fake


def prepared(root: Path, dataset: str = "ucf101", **protocol: object) -> Config:
    config = small_config(root, dataset, **protocol)
    manifest.prepare(config, dataset)
    return config


@pytest.mark.parametrize("dataset", datasets.available())
def test_every_dataset_is_encoded(tmp_path: Path, backbone: FakeBackbone, dataset: str) -> None:
    config = prepared(tmp_path, dataset, n_clips=2, n_crops=3)
    store = extract.extract(config, dataset, "mini_clip")
    df = manifest.load_manifest(config, dataset)
    for split, n_views in (("train", 1), ("dev", 1), ("test", 6)):
        index = store.index(split)
        assert list(index.columns) == list(INDEX_COLUMNS)
        assert list(index["video_id"]) == list(df.loc[df["split"] == split, "video_id"])
        assert list(index["row"]) == list(range(len(index))) and index["readable"].all()
        for t in (4, 8):
            array = store.load(split, t)
            assert array.shape == (len(index), n_views, t, 6) and array.dtype == np.float16
            assert isinstance(array, np.memmap)
    assert store.text("plain").shape == (3, 6)
    assert store.meta["counts"]["test"]["listed"] == int((df["split"] == "test").sum())


def test_features_are_those_of_each_view_read_alone(tmp_path: Path, backbone: FakeBackbone) -> None:
    config = prepared(tmp_path, n_clips=2, n_crops=3)
    store = extract.extract(config, "ucf101", "mini_clip")
    for split, n_clips, n_crops in (("train", 1, 1), ("test", 2, 3)):
        for t in (4, 8):
            for row, path in enumerate(store.index(split)["path"]):
                file = paths.dataset_root(config, "ucf101") / "videos" / path
                views = load_views(file, t, n_clips, n_crops, 24)
                with torch.no_grad():
                    wanted = backbone.encode_frames(torch.from_numpy(views).flatten(0, 1)).reshape(-1, t, 6)
                assert np.allclose(store.load(split, t)[row], wanted, atol=2e-3)


def test_each_distinct_frame_is_encoded_once(tmp_path: Path, backbone: FakeBackbone) -> None:
    extract.extract(prepared(tmp_path, frames=(4, 8)), "ucf101", "mini_clip")
    used = {*frame_indices(12, 4).tolist(), *frame_indices(12, 8).tolist()}
    assert sum(backbone.calls) == 36 * len(used)


def test_threads_do_not_change_the_features(
    tmp_path: Path, backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = prepared(tmp_path)
    whole = np.array(extract.extract(config, "ucf101", "mini_clip").load("train", 8))
    n_torch_threads = torch.get_num_threads()
    for threads in (1, 5):
        monkeypatch.setattr(encode, "THREADS", threads)
        assert np.array_equal(whole, extract.extract(config, "ucf101", "mini_clip").load("train", 8))
        assert torch.get_num_threads() == n_torch_threads


def test_unreadable_videos_keep_their_row(tmp_path: Path, backbone: FakeBackbone) -> None:
    config = small_config(tmp_path, "ucf101")
    folder = paths.dataset_root(config, "ucf101") / "videos" / "YoYo"
    (folder / "v_YoYo_g01_c01.avi").write_bytes(b"")
    manifest.prepare(config, "ucf101")
    (folder / "v_YoYo_g02_c01.avi").unlink()  # lost after it was prepared
    store = extract.extract(config, "ucf101", "mini_clip")
    index = store.index("test").set_index("video_id")
    lost = index[~index["readable"]]
    assert list(lost.index) == ["YoYo/v_YoYo_g01_c01", "YoYo/v_YoYo_g02_c01"]
    assert list(lost["reason"]) == ["empty file (0 bytes)", "missing file"]
    array = store.load("test", 8)
    assert len(array) == 12 and not array[lost["row"]].any()
    assert all(array[row].any() for row in index.loc[index["readable"], "row"])
    assert store.meta["counts"]["test"] == {"listed": 12, "readable": 10}


def test_text_sets_are_renormalised_means(tmp_path: Path, backbone: FakeBackbone) -> None:
    store = extract.extract(prepared(tmp_path), "ucf101", "mini_clip")
    assert store.meta["prompt_sets"] == ["plain", "photo", "video", "ensemble"]
    words = ["apply eye makeup", "handstand pushups", "yo yo"]
    assert np.allclose(store.text("plain"), backbone.encode_text(words))
    assert np.allclose(store.text("photo"), backbone.encode_text([f"a photo of a {w}." for w in words]))
    ensemble = store.text("ensemble")
    assert np.allclose(np.linalg.norm(ensemble, axis=1), 1) and ensemble.dtype == np.float32
    assert not np.allclose(ensemble, store.text("photo"), atol=1e-3)


def changed_fingerprint(root: Path, **protocol: object) -> str:
    return extract.extract(prepared(root, **protocol), "ucf101", "mini_clip").meta["fingerprint"]


@pytest.mark.slow
def test_fingerprint_follows_data_choices_and_weights(
    tmp_path: Path, backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = changed_fingerprint(tmp_path / "a")
    assert first.startswith("sha256:") and first == changed_fingerprint(tmp_path / "b"), "the place does not matter"
    assert first != changed_fingerprint(tmp_path / "a", sampling="segment_start")
    assert first != changed_fingerprint(tmp_path / "a", n_clips=2)
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": FakeBackbone(2.0))
    assert first != changed_fingerprint(tmp_path / "a")
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": backbone)
    file = tmp_path / "a" / "raw" / "ucf101" / "videos" / "YoYo" / "v_YoYo_g05_c01.avi"
    file.write_bytes(file.read_bytes() + b"\0")
    assert first != changed_fingerprint(tmp_path / "a")


def test_a_store_has_a_hash_of_its_values(
    tmp_path: Path, backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [extract.extract(prepared(tmp_path / name), "ucf101", "mini_clip") for name in "ab"]
    assert len({store.meta["values_sha256"] for store in stores}) == 1, "the same videos give the same values"
    store, path = stores[0], stores[0].folder / "test_8f.npy"
    store.check_values()
    values = np.load(path, mmap_mode="r+")
    values[0, 0, 0, 0] += 1
    values.flush()
    with pytest.raises(ConfigError, match=r"differ from those that were written; delete the folder and run the feat"):
        open_store(store.folder)
    monkeypatch.setattr(store_file, "CHEAP_BYTES", 0)
    with pytest.raises(ConfigError, match="differ from those that were written"):
        open_store(store.folder).check_values()


def test_a_store_of_an_earlier_version_has_no_hash_and_says_so(tmp_path: Path, backbone: FakeBackbone) -> None:
    store = extract.extract(prepared(tmp_path), "ucf101", "mini_clip")
    del store.meta["values_sha256"]
    (store.folder / "meta.json").write_text(json.dumps(store.meta), encoding="utf-8")
    assert len(open_store(store.folder).load("test", 8)) == 12
    with pytest.raises(ConfigError, match="without a hash of its values; run the features stage again"):
        open_store(store.folder).check_values()


def test_failure_leaves_the_earlier_store(
    tmp_path: Path, backbone: FakeBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = prepared(tmp_path)
    before = extract.extract(config, "ucf101", "mini_clip").meta
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": FakeBackbone(float("nan")))
    with pytest.raises(FloatingPointError, match="not finite"):
        extract.extract(config, "ucf101", "mini_clip")
    assert open_store(paths.features(config, "ucf101", "mini_clip")).meta == before
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": backbone)
    extract.extract(config, "ucf101", "mini_clip")
    assert [f.name for f in paths.features(config, "ucf101", "mini_clip").parent.iterdir()] == ["ucf101"]


def test_a_store_names_the_split_of_its_dataset(tmp_path: Path, backbone: FakeBackbone) -> None:
    config = prepared(tmp_path, split=1, splits={"ucf101": 2, "hmdb51": 3})
    assert extract.extract(config, "ucf101", "mini_clip").meta["split"] == 2


def test_an_unknown_backbone_is_named(tmp_path: Path, backbone: FakeBackbone) -> None:
    with pytest.raises(ConfigError, match=r"smoke has no backbone 'mini_klip'; did you mean 'mini_clip'"):
        extract.extract(prepared(tmp_path), "ucf101", "mini_klip")


class FakeClipEncoder(FakeBackbone):
    """Two frames a time step, each time step from all frames of its clip; no text."""

    tubelet, has_text, logit_scale = 2, False, 1.0

    def encode_clips(self, clips: Tensor) -> Tensor:
        self.calls.append(len(clips))
        mean = clips.float().mean(dim=(1, 2, 3)) / 255
        pairs = clips.float().unflatten(1, (-1, 2)).mean(dim=(2, 3, 4)) / 255
        return torch.cat([pairs, mean[:, None].expand_as(pairs)], dim=-1)


def test_an_encoder_of_clips_sees_whole_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeClipEncoder()
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": fake)
    config = prepared(tmp_path, frames=(4, 8), n_clips=2, n_crops=3)
    store = extract.extract(config, "ucf101", "mini_clip")
    assert store.text("plain") is None and not (store.folder / "text.npy").exists()
    index = store.index("test")
    row = int(index.index[index["readable"]][0])
    path = paths.dataset_root(config, "ucf101") / "videos" / index["path"][row]
    for t in (4, 8):
        views = torch.from_numpy(load_views(path, t, 2, 3, 24))
        assert store.load("test", t).shape[1:] == (6, t // 2, 6)
        assert np.allclose(store.load("test", t)[row], fake.encode_clips(views), atol=1e-3)


def test_wrong_requests_are_named(tmp_path: Path, backbone: FakeBackbone) -> None:
    with pytest.raises(ConfigError, match="run the features stage"):
        open_store(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="run the prepare stage"):
        extract.extract(small_config(tmp_path, "ucf101"), "ucf101", "mini_clip")
    config = prepared(tmp_path)
    store = extract.extract(config, "ucf101", "mini_clip")
    with pytest.raises(ConfigError, match="16 frames, only of train, dev, test with 4, 8"):
        store.load("train", 16)
    with pytest.raises(ConfigError, match="no prompt set 'foto'"):
        store.text("foto")
    with pytest.raises(ConfigError, match="did you mean 'photo'"):
        extract.extract(prepared(tmp_path, prompt_sets=("foto",)), "ucf101", "mini_clip")


@pytest.mark.slow
def test_reading_the_store_needs_neither_torch_nor_decord(tmp_path: Path, backbone: FakeBackbone) -> None:
    store = extract.extract(prepared(tmp_path), "ucf101", "mini_clip")
    program = (
        "import sys; from vidprism.features.store import open_store; store = open_store(sys.argv[1]);"
        "store.load('train', 8), store.index('dev'), store.text('plain');"
        "sys.exit(bool({'torch', 'decord', 'vidprism.videos.clips'} & set(sys.modules)))"
    )
    root = Path(extract.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program, str(store.folder)], cwd=root).returncode == 0
    assert json.loads((store.folder / "meta.json").read_text())["dim"] == 6
