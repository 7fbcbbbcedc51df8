"""The predicted memory: what the paper profile needs fits its card, and the prediction moves as it should."""

import pytest

from tools.gpu_check import memory, models
from tools.gpu_check.models import Tower
from vidprism import complexity
from vidprism.config import load_config

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
    assert bytes_of(16, checkpointing=True) < many / 2
    assert bytes_of(16, accumulate=2) < 1.1 * few


def test_the_models_of_other_repeats_are_counted(digits: None) -> None:
    one, five = (memory.predict(TOWER, 4, True, repeats=n).others_gb for n in (1, 5))
    whole = sum(p.numel() for p in models.load(TOWER, "cpu").model.parameters())
    assert one == 0 and five > 4 * 4 * whole
