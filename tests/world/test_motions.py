"""Reversing time maps a class onto its counterpart, frame by frame and exactly."""

from dataclasses import astuple

import numpy as np
import pytest

from vidprism.config import WorldConfig
from vidprism.world.classes import DATASETS, counterparts
from vidprism.world.motions import MOTIONS, track
from vidprism.world.plan import clips_of, look
from vidprism.world.random import stream
from vidprism.world.render import render

WORLD = WorldConfig(train_per_class=2, test_per_dataset=2)


def _played(motion: str) -> list[bool]:
    backwards = MOTIONS[motion].backwards
    return [False, True] if backwards is None else [backwards]


@pytest.mark.parametrize("motion", MOTIONS)
def test_reversed_frames_are_frames_of_the_counterpart(motion: str) -> None:
    clip = clips_of("ssv2", WORLD)[0]
    instance, other = look(clip, WORLD.seed), MOTIONS[motion].reversal
    assert MOTIONS[other].reversal == motion
    for backwards in _played(motion):
        mapped = not backwards
        assert mapped in _played(other)
        here = render(instance, track(MOTIONS[motion].path, backwards, 32, stream(3, motion)))
        there = render(instance, track(MOTIONS[other].path, mapped, 32, stream(3, motion)))
        assert np.array_equal(there, here[::-1])
        assert not np.array_equal(here, here[::-1]), "the motion would be its own reversal, pixel by pixel"


def test_the_two_directions_draw_from_one_path() -> None:
    for name, motion in MOTIONS.items():
        assert motion.path is MOTIONS[motion.reversal].path, name
        if motion.reversal != name:
            assert {motion.backwards, MOTIONS[motion.reversal].backwards} == {False, True}
        else:
            assert motion.backwards is None


@pytest.mark.parametrize("motion", MOTIONS)
def test_objects_stay_in_the_centre_crop(motion: str) -> None:
    for i in range(50):
        x, y, radius, angle, alpha = astuple(track(MOTIONS[motion].path, False, 36, stream(i)))
        assert max(abs(x).max(), abs(y).max()) < 0.75
        assert radius.min() > 0.15 and radius.max() < 0.9
        assert alpha.min() >= 0 and alpha.max() == 1 and np.isfinite(angle).all()


def test_fast_and_slow_differ_in_cycles_alone() -> None:
    def turns(motion: str, field: str) -> float:
        value = getattr(track(MOTIONS[motion].path, False, 400, stream("rhythm")), field)
        return (np.diff(np.sign(np.diff(value))) != 0).sum()

    assert turns("shake_fast", "x") > 3 * turns("shake_slowly", "x")
    assert turns("pulse_fast", "radius") > 3 * turns("pulse_slowly", "radius")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("change", ["reversal", "mirror"])
def test_datasets_are_closed(dataset: str, change: str) -> None:
    pairs = counterparts(DATASETS[dataset], change)
    assert all(pairs[b] == a for a, b in pairs.items())


def test_a_class_without_counterpart_is_an_error() -> None:
    with pytest.raises(ValueError, match="no counterpart under reversal"):
        counterparts(DATASETS["ssv2"][:1], "reversal")


def test_mini_ssv2_differs_by_motion_alone() -> None:
    assert len({(c.categories, c.colours) for c in DATASETS["ssv2"]}) == 1
    assert len(counterparts(DATASETS["ssv2"], "reversal")) == 10
