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


class Opposed:
    """A generator whose single numbers from a range around zero have the opposite sign."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uniform(self, low: float, high: float, *size: int) -> np.ndarray | float:
        drawn = self._rng.uniform(low, high, *size)
        return -drawn if low == -high and not size else drawn


def values_of(motion: str, n_frames: int, seed: object) -> np.ndarray:
    """The five values of a track, (5, T)."""
    return np.stack(astuple(track(MOTIONS[motion].path, MOTIONS[motion].backwards, n_frames, stream(seed))))


@pytest.mark.parametrize("motion", [name for name in MOTIONS if MOTIONS[name].reversal != name])
def test_reversed_frames_are_frames_of_the_counterpart(motion: str) -> None:
    clip = clips_of("ssv2", WORLD)[0]
    instance, other = look(clip, WORLD.seed), MOTIONS[motion].reversal
    assert MOTIONS[other].reversal == motion and MOTIONS[other].path is MOTIONS[motion].path
    assert {MOTIONS[motion].backwards, MOTIONS[other].backwards} == {False, True}
    here, there = (
        render(instance, track(MOTIONS[name].path, MOTIONS[name].backwards, 32, stream(3, motion)))
        for name in (motion, other)
    )
    assert np.array_equal(there, here[::-1])
    assert not np.array_equal(here, here[::-1]), "the motion would be its own reversal, pixel by pixel"


@pytest.mark.parametrize("motion", [name for name in MOTIONS if MOTIONS[name].reversal == name])
def test_there_and_back_is_its_own_reversal_begun_as_much_too_late_as_too_early(motion: str) -> None:
    name = "x" if motion in ("right_and_back", "left_and_back") else "y"
    for seed in range(20):
        u = (np.arange(36) + 0.5) / 36
        here, there = (getattr(MOTIONS[motion].path(u, rng), name) for rng in (stream(seed), Opposed(stream(seed))))
        assert np.allclose(there, here[::-1])


@pytest.mark.parametrize("motion", [name for name in MOTIONS if MOTIONS[name].order])
def test_summaries_of_frames_do_not_tell_opposites_that_differ_in_order(motion: str) -> None:
    """Means of both halves, deviation, slope and mean step of place, size and visibility, over many clips."""

    def summaries(name: str) -> np.ndarray:
        found = []
        for seed in range(600):
            x = values_of(name, 36, f"{name} {seed}")[[0, 1, 2, 4]]
            steps, slope = abs(np.diff(x)).mean(1), (x * np.linspace(-1, 1, 36)).mean(1)
            found.append(np.concatenate([x[:, :18].mean(1), x[:, 18:].mean(1), x.std(1), slope, steps]))
        return np.array(found)

    here, there = summaries(motion), summaries(MOTIONS[motion].opposite)
    error = np.sqrt(here.var(0) / len(here) + there.var(0) / len(there)) + 1e-9
    assert (abs(here.mean(0) - there.mean(0)) < 4 * error).all()
    assert MOTIONS[MOTIONS[motion].opposite].opposite == motion


@pytest.mark.parametrize("motion", MOTIONS)
def test_objects_stay_in_the_centre_crop(motion: str) -> None:
    for i in range(50):
        x, y, radius, angle, alpha = astuple(track(MOTIONS[motion].path, False, 36, stream(i)))
        assert max(abs(x).max(), abs(y).max()) < 0.75
        assert radius.min() > 0.15 and radius.max() < 0.9
        assert alpha.min() >= 0 and 0.9 < alpha.max() <= 1 and np.isfinite(angle).all()


def test_size_leads_by_a_quarter_of_a_cycle() -> None:
    for motion, lead in (("size_leads", 1), ("brightness_leads", -1)):
        _, _, radius, _, alpha = values_of(motion, 401, "lead")
        sizes, lights = (np.fft.rfft(v - v.mean())[2] for v in (radius, alpha))
        assert np.angle(sizes / lights) == pytest.approx(lead * np.pi / 2, abs=0.05)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("change", ["reversal", "mirror", "opposite"])
def test_datasets_are_closed(dataset: str, change: str) -> None:
    pairs = counterparts(DATASETS[dataset], change)
    assert all(pairs[b] == a for a, b in pairs.items())


def test_a_class_without_counterpart_is_an_error() -> None:
    with pytest.raises(ValueError, match="no counterpart under reversal"):
        counterparts(DATASETS["ssv2"][:1], "reversal")


def test_mini_ssv2_differs_by_motion_alone() -> None:
    assert len({(c.categories, c.colours, c.textures) for c in DATASETS["ssv2"]}) == 1
    assert len(counterparts(DATASETS["ssv2"], "opposite")) == len(DATASETS["ssv2"])
