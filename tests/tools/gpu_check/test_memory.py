"""The predicted memory: what the paper profile needs fits its card, and a real update needs what was predicted."""

import json
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tools.gpu_check import memory, models
from tools.gpu_check.models import Tower
from vidprism import complexity
from vidprism.config import load_config
from vidprism.finetuning import blocks
from vidprism.training.recipe import Tuning

pytestmark = pytest.mark.slow

TOWER = Tower("clip", "mini_clip", 8)


def test_the_paper_profile_fits_its_card() -> None:
    """Where this fails, `train.accumulate` of the profile must cut the batch."""
    own = memory.at_settings(load_config("paper"), memory.read())
    assert {(p.backbone, p.frames) for p in own} == {(t.name, t.frames) for t in memory.towers(load_config("paper"))}
    assert all(p.peak_gb + p.others_gb <= memory.CARD_GB for p in own), own


def test_every_length_of_both_sizes_is_predicted() -> None:
    predicted = {(p.backbone, p.frames, p.clips, p.checkpointing) for p in memory.read()}
    for tower in models.FULL.fast:
        for checkpointing in (True, False):
            assert {(tower.name, tower.frames, clips, checkpointing) for clips in (8, 64)} <= predicted


def bytes_of(clips: int, checkpointing: bool = False, accumulate: int = 1) -> float:
    return memory.predict(TOWER, clips, checkpointing, accumulate).peak_gb


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's memory is far below the tenth of 10^9 bytes to which predictions are rounded."""
    monkeypatch.setattr(memory, "GB", 1.0)


def test_what_lies_in_memory(digits: None) -> None:
    n = complexity.count("vidprism_c", "mini_clip", 8, n_classes=memory.CLASSES).trainable_parameters
    few, many = bytes_of(8), bytes_of(16)
    assert few > 16 * n, "weights, gradients and two moments in float32"
    assert 1.5 < many / few < 2.0, "activations grow with the batch"
    assert bytes_of(16, checkpointing=True) < 0.6 * many
    assert bytes_of(16, accumulate=2) < 1.1 * few


def test_the_models_of_other_repeats_are_counted(digits: None) -> None:
    one, five = (memory.predict(TOWER, 4, True, repeats=n).others_gb for n in (1, 5))
    whole = sum(p.numel() for p in models.load(TOWER, "cpu").model.parameters())
    assert one == 0 and five > 4 * 4 * whole


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_real_update_allocates_what_was_predicted(digits: None, tmp_path: Path, checkpointing: bool) -> None:
    n, tuned = 32, Tuning(grad_checkpointing=checkpointing)
    model = models.build(TOWER, memory.METHOD, memory.CLASSES, tuned, "cpu").train()
    optimizer = blocks.optimizer(
        model.trained_groups(models.recipe(n, 10, tuned).backbone_lr_scale), models.recipe(n, 10, tuned)
    )
    clips, labels = models.noise(TOWER, n, memory.CLASSES).clips_BTSS3, torch.arange(n)

    def update() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(clips, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    with memory._cuda_autocast():
        update()  # weights and moments are there from now on
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            update()
    seen.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    held = [event["args"]["Total Allocated"] for event in events if event.get("name") == "[memory]"]
    trained = sum(p.numel() for p in model.parameters())
    whole = sum(p.numel() for p in models.load(TOWER, "cpu").model.parameters())
    lasting = 4 * (3 * trained + whole - sum(p.numel() for p in model.visual.parameters())) + clips.numel()
    predicted = bytes_of(n, checkpointing) - lasting
    assert 1.0 <= predicted / (max(held) - held[0]) < 1.25
