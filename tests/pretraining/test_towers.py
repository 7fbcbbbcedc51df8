"""The small ViCLIP and the first stage of MAXI: what they are shown, their losses, and a short training of each."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.small_config import small_config
from vidprism import datasets
from vidprism.backbones import load_backbone
from vidprism.backbones.clip import create
from vidprism.config import BackboneConfig, Config, TowerPretrainConfig, paths
from vidprism.pretraining import captioned_clips, maxi, viclip, videomae
from vidprism.videos import manifest
from vidprism.world.motions import MOTIONS
from vidprism.world.random import stream
from vidprism.world.stills import make_pool

SHORT = TowerPretrainConfig(steps=6, batch_size=6, pool=40, threads=1)


def test_captions_tell_the_motion_that_the_clip_shows() -> None:
    drawn = captioned_clips.draw_clips(make_pool(20, 3), 300, 8, stream(3, "test"))
    assert drawn.clips.shape == (300, 8, 48, 48, 3) and drawn.clips.dtype == np.uint8
    assert captioned_clips.DOES.keys() == MOTIONS.keys() == set(drawn.motions)
    for caption, motion in zip(drawn.captions, drawn.motions, strict=True):
        assert f" {captioned_clips.DOES[motion]} on a " in caption
    growth = {}
    for clip, motion in zip(drawn.clips.astype(float), drawn.motions, strict=True):
        differs = np.abs(clip - np.median(clip, axis=0)).mean(axis=(1, 2, 3))
        growth.setdefault(motion, []).append(differs[-1] - differs[0])
    assert np.mean(growth["appear"]) != np.mean(growth["vanish"])


def test_the_same_seed_draws_the_same_clips() -> None:
    one, other = (captioned_clips.draw_clips(make_pool(20, 3), 5, 8, stream(3, "test")) for _ in range(2))
    assert np.array_equal(one.clips, other.clips) and one.captions == other.captions


def test_the_loss_of_bags_against_a_loop() -> None:
    logits_BN = torch.randn(3, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = 0.0
    for i in range(3):
        total = sum(math.exp(x) for x in logits_BN[i])
        own = sum(math.exp(logits_BN[i, j]) for j in range(4 * i, 4 * i + 4))
        expected -= math.log(own / total) / 3
    assert float(maxi.bag_loss(logits_BN)) == pytest.approx(expected)


def prepared(root: Path) -> Config:
    config = small_config(root, "ucf101")
    base = root / "base"
    base.mkdir()
    save_file({k: v.contiguous() for k, v in create("mini_clip", 1).state_dict().items()}, base / "weights.safetensors")
    made = {
        "mini_clip": BackboneConfig("clip", "mini_clip", "B/16", "base"),
        "mini_viclip": BackboneConfig("viclip", "mini_clip", "B/16", "data/backbones/smoke/mini_viclip"),
        "mini_clip_maxi": BackboneConfig("clip", "mini_clip", "B/16", "data/backbones/smoke/mini_clip_maxi"),
    }
    changes = {"caption_pretraining": SHORT, "unlabelled_pretraining": SHORT, "backbones": made}
    protocol = replace(config.profile.protocol, descriptions={"ucf101": "verbs.json"})
    profile = replace(config.profile, datasets=("ucf101",), generated=False, protocol=protocol, **changes)
    config = replace(config, profile=profile)
    module = datasets.load_dataset("ucf101")
    names = module.class_names(paths.dataset_root(config, "ucf101"))
    listed = {name: {"temporal": [f"step {n} of {module.class_text(name)}" for n in range(4)]} for name in names}
    paths.listed(config, "verbs.json").parent.mkdir(parents=True, exist_ok=True)
    paths.listed(config, "verbs.json").write_text(json.dumps(listed), encoding="utf-8")
    manifest.prepare(config, "ucf101")
    return config


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name"), [(viclip, "mini_viclip"), (maxi, "mini_clip_maxi")])
def test_a_short_training_is_repeatable_and_read_back(tmp_path: Path, module: object, name: str) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        config = prepared(tmp_path / folder)
        report = module.pretrain(config, name)
        out = paths.pretrained(config, name)
        files.append((out / "weights.safetensors").read_bytes())
        assert json.loads((out / "pretraining.json").read_text()) == report
        assert report["curve"][-1]["step"] == 5 and all(math.isfinite(point["loss"]) for point in report["curve"])
    assert files[0] == files[1]
    spec = config.profile.backbones[name]
    loaded = load_backbone(replace(spec, weights=str(out)))
    before = load_backbone(replace(config.profile.backbones["mini_clip"], weights=str(tmp_path / "b" / "base")))
    assert not torch.equal(loaded.module.conv1.weight, before.module.conv1.weight)


@pytest.mark.slow
def test_maxi_keeps_the_certain_and_reads_no_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = prepared(tmp_path)
    spec = config.profile.backbones["mini_clip"]
    backbone = load_backbone(replace(spec, weights=paths.backbone(config, "mini_clip")))
    found, n_videos, right = maxi.with_bags(config, backbone)
    assert len(found.bags) == len(found.clips) == round(0.9 * n_videos) and 0 <= right <= 100
    assert all(len(bag) == 1 + 4 + maxi.NEAREST for bag in found.bags)
    read = videomae.read_videos

    def mislabelled(*arguments: object) -> dict[str, videomae.Videos]:
        return {split: videos._replace(labels=videos.labels[::-1]) for split, videos in read(*arguments).items()}

    monkeypatch.setattr(maxi, "read_videos", mislabelled)
    again, _, _ = maxi.with_bags(config, backbone)
    assert again.bags == found.bags and np.array_equal(again.clips, found.clips)
