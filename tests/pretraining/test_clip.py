"""Pre-training: deterministic, it learns, it stops on a loss that is not finite."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidprism import backbones
from vidprism.config import BackboneConfig, PretrainConfig, WorldConfig
from vidprism.pretraining.clip import pretrain

SHORT = PretrainConfig(steps=8, batch_size=16, pool=84, threads=1)


@pytest.mark.slow
def test_same_seed_same_weights_and_a_falling_loss(tmp_path: Path) -> None:
    reports = [pretrain(WorldConfig(), SHORT, tmp_path / name) for name in ("a", "b")]
    files = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1] and reports[0] == reports[1]
    assert json.loads((tmp_path / "a" / "pretraining.json").read_text()) == reports[0]
    curve = reports[0]["curve"]
    assert curve[-1]["step"] == 7 and curve[-1]["loss"] < curve[0]["loss"]
    assert reports[0]["stills_seen"] == 128
    backbone = backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / "a")))
    assert backbone.logit_scale == pytest.approx(reports[0]["logit_scale"], abs=1e-3)


@pytest.mark.slow
def test_another_seed_other_weights(tmp_path: Path) -> None:
    one = replace(SHORT, steps=2)
    pretrain(WorldConfig(), one, tmp_path / "a")
    pretrain(WorldConfig(), replace(one, seed=8), tmp_path / "b")
    a, b = (backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / n))) for n in ("a", "b"))
    assert not torch.equal(a.module.proj, b.module.proj)


def test_a_loss_that_is_not_finite_stops_it(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"lower pretraining\.lr"):
        pretrain(WorldConfig(), replace(SHORT, lr=1e30), tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()
