"""A row that is run again gives the same bytes, and `train.deterministic` holds while a row trains and no longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, paths
from vidprism.finetuning import loop, track
from vidprism.runs import train
from vidprism.runtime import determinism

pytestmark = pytest.mark.slow

FILES = ("weights/ucf101_k2.safetensors", "scores.npz", "record.json")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return make_config(tmp_path)


def settings() -> tuple:
    """Whatever `deterministic` sets."""
    cudnn = torch.backends.cudnn
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return *algorithms, cudnn.deterministic, cudnn.benchmark, os.environ.get(determinism.CUBLAS)


ON = (True, False, True, False, ":4096:8")


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("method", ["mean_pool", "vidprism_c"])
def test_a_row_that_is_run_again_gives_the_same_bytes(config: Config, method: str, asked: bool) -> None:
    row = make_row(method, updates=12)
    found = []
    for _ in range(2):
        train.train_here(changed(config, deterministic=asked), row)
        found.append([(paths.run(config, row.group, row.key) / name).read_bytes() for name in FILES])
        torch.manual_seed(7)  # a seed of the row's own decides, not where a generator stands
    assert found[0] == found[1]


def test_it_holds_in_training_and_scoring_only(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = settings(), []
    update, predict = loop._Loop._update, track.predict
    monkeypatch.setattr(loop._Loop, "_update", lambda *args: (seen.append(settings()), update(*args)))
    monkeypatch.setattr(track, "predict", lambda *args: (seen.append(settings()), predict(*args))[1])
    train.train_here(changed(config, deterministic=True), make_row("mean_pool", repeats=(0,)))
    assert seen == [ON] * 11 and settings() == before != ON
    seen.clear()
    train.train_here(config, make_row("mean_pool", repeats=(0,)))
    assert seen == [before] * 11


def test_cublas_is_told_before_the_row_reads_anything(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch reads the variable at the first product on the GPU: class texts are encoded when inputs are opened."""
    seen, opened = [], train.open_track
    monkeypatch.setattr(
        train, "open_track", lambda *args: (seen.append(os.environ.get(determinism.CUBLAS)), opened(*args))[1]
    )
    for asked in (True, False):
        train.train_here(changed(config, deterministic=asked), make_row("mean_pool", repeats=(0,)))
    assert seen == [":4096:8", None] and determinism.CUBLAS not in os.environ


@pytest.mark.parametrize("variable", [None, ":16:8"])
def test_settings_come_back_after_an_error(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    monkeypatch.delenv(determinism.CUBLAS, raising=False)
    if variable:
        monkeypatch.setenv(determinism.CUBLAS, variable)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    with pytest.raises(KeyError), determinism.deterministic(True):
        assert settings() == ON
        raise KeyError
    assert settings() == before
