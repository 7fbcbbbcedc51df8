"""Test clips played backwards, and what the committed scores say."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from tools import reversed_clips
from vidprism import backbones, methods
from vidprism.config import find_root, load_config
from vidprism.config.rows import row
from vidprism.runs.train import train_here

KEPT = sorted((find_root() / reversed_clips.FOLDER).glob("*.json"))


def test_clips_run_backwards_and_nothing_else_changes() -> None:
    clips = np.arange(2 * 3 * 4 * 5 * 5 * 3, dtype=np.uint8).reshape(2, 3, 4, 5, 5, 3)
    found = reversed_clips.Backwards(SimpleNamespace(read=lambda split, at: clips, n_classes=7))
    assert found.n_classes == 7
    for step in range(4):
        assert np.array_equal(found.read("test", np.arange(2))[:, :, step], clips[:, :, 3 - step])


@pytest.mark.slow
def test_the_mean_of_frames_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    config = changed(make_config(tmp_path), keep_weights="all")
    chosen = make_row("mean_pool")
    record = train_here(config, chosen)
    found = reversed_clips.score(config, chosen)
    assert found["same_answer"] == 100 and found["top1"] == found["reversed_top1"]
    assert found["repeats"] == 2 and found["videos"] == record["cells"][0]["n_scored"]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_methods_that_are_blind_to_order_answer_the_same(path: Path) -> None:
    config = load_config(path.stem)
    for name, facts in json.loads(path.read_text(encoding="utf-8")).items():
        method = row(config, *name.split("/")).method
        if not methods.says(method, "TEMPORAL"):
            assert facts["same_answer"] >= 99.9 and abs(facts["top1"] - facts["reversed_top1"]) <= 0.1, name
        else:
            assert facts["same_answer"] < 100, name
