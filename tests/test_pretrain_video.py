"""Masked pre-training of the small VideoMAE: reproducible, blind to labels and held-out videos, probed honestly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.miniature import small_config
from vidprism import backbones, features, manifest, paths, pretrain_video, video
from vidprism.backbones.videomae import create
from vidprism.config import BackboneConfig, Config, VideoPretrainConfig

SHORT = VideoPretrainConfig(steps=6, batch_size=4, threads=1)
NAME = "mini_videomae"


def prepared(root: Path) -> Config:
    config = small_config(root, "ucf101")
    spec = BackboneConfig("videomae", NAME, "B/16", f"data/backbones/smoke/{NAME}")
    changes = {"datasets": ("ucf101",), "video_pretraining": SHORT, "backbones": {NAME: spec}}
    config = replace(config, profile=replace(config.profile, **changes))
    manifest.prepare(config, "ucf101")
    return config


def test_same_seed_same_weights_and_the_suite_reads_them(tmp_path: Path) -> None:
    files, reports = [], []
    for name in ("a", "b"):
        config = prepared(tmp_path / name)
        reports.append(pretrain_video.pretrain(config, NAME))
        files.append((tmp_path / name / "data/backbones/smoke" / NAME / "weights.safetensors").read_bytes())
    assert files[0] == files[1] and reports[0] == reports[1]
    assert json.loads((Path(paths.backbone(config, NAME)) / "pretraining.json").read_text()) == reports[1]
    (found,) = reports[0]["probe"]
    listed = manifest.load(config, "ucf101")
    assert found["dataset"] == "ucf101" and found["n"] == ((listed["split"] == "dev") & listed["readable"]).sum()
    loaded = backbones.load(replace(config.profile.backbones[NAME], weights=paths.backbone(config, NAME)))
    assert isinstance(loaded.module.norm, torch.nn.LayerNorm), "its norm stands before the mean, as it was trained"
    store = features.extract(config, "ucf101", NAME)
    assert store.meta["backbone"]["probe"] == reports[0]["probe"], "what the probe found travels with the features"


def test_dev_and_test_videos_and_labels_train_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = prepared(tmp_path)
    opened, trained = [], []
    read, train = video.load_views, pretrain_video.train

    def noted_read(path: Path, *rest: object, **choices: object) -> np.ndarray:
        opened.append(path.name)
        return read(path, *rest, **choices)

    def noted_train(encoder: object, videos: np.ndarray, cfg: VideoPretrainConfig) -> list[float]:
        trained.append(len(videos))
        return train(encoder, videos, cfg)

    monkeypatch.setattr(video, "load_views", noted_read)
    monkeypatch.setattr(pretrain_video, "train", noted_train)
    pretrain_video.pretrain(config, NAME)
    listed = manifest.load(config, "ucf101")
    names = {split: {Path(path).name for path in part["path"]} for split, part in listed.groupby("split")}
    assert trained == [((listed["split"] == "train") & listed["readable"]).sum()]
    assert set(opened) <= names["train"] | names["dev"] and not set(opened) & names["test"]


def test_masks_are_tubes_of_the_asked_share() -> None:
    cfg = replace(SHORT, mask_ratio=0.75, steps=2)
    frames = np.zeros((5, 16, 48, 48, 3), np.uint8)
    first, second = pretrain_video._batches(create(NAME), frames, cfg)
    for pixels, hidden in (first, second):
        assert pixels.shape == (4, 16, 3, 48, 48)
        tubes = hidden.view(4, 8, 36)
        assert (tubes == tubes[:, :1]).all() and (tubes[:, 0].sum(dim=1) == 27).all()
    assert not torch.equal(first[1], second[1])


def test_plain_clips_are_learned() -> None:
    """Clips of one colour each: what is hidden can be painted from what is seen."""
    rng, frames = np.random.default_rng(0), np.full((24, 16, 48, 48, 3), 40, np.uint8)
    for clip in frames:
        clip[...] = rng.integers(30, 220, size=3)
    losses = pretrain_video.train(create(NAME), frames, replace(SHORT, steps=60, batch_size=8, lr=0.003))
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])


def test_a_loss_that_is_not_finite_stops_it() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, 16, 48, 48, 3)).astype(np.uint8)
    with pytest.raises(FloatingPointError, match=r"lower video_pretraining\.lr"):
        pretrain_video.train(create(NAME), frames, replace(SHORT, lr=1e30, steps=20))


def test_the_probe_tells_better_from_not_shown() -> None:
    rng = np.random.default_rng(0)
    good, bad = (rng.random(200) < 0.8).astype(np.int8), (rng.random(200) < 0.3).astype(np.int8)
    helped, equal = pretrain_video.probe({"a": good, "b": bad}, {"a": bad, "b": bad})
    assert helped["better"] and helped["ci95_low"] > 0 and helped["trained"] == 100 * good.mean() and helped["n"] == 200
    assert not equal["better"] and equal["difference"] == 0
