"""Recipes: the schedule, and the recipe of a method's authors in place of a profile's."""

import itertools
import math

import pytest

from vidprism.config.sections import OwnRecipe, Tuning
from vidprism.training.recipe import Recipe

OURS = Recipe(100, 16, 0.003, 0.05, 0.1, backbone_lr_scale=0.1, decay_power=1.5, tuned=Tuning(precision="fp32"))
OWN = OwnRecipe(
    lr=0.01, batch_size=8, weight_decay=0.2, epochs=10, warmup_epochs=2, floor=0.01, beta2=0.98, augment="jitter"
)


def test_epochs_are_passes_over_the_clips_of_the_row() -> None:
    found = OURS.by_authors(OWN, 20)
    assert (found.updates, found.batch_size, found.warmup) == (25, 8, 0.2)  # 10 passes over 20 clips, 8 an update
    assert (found.lr, found.weight_decay, found.beta2, found.floor, found.decay_power) == (0.01, 0.2, 0.98, 0.01, 1.0)
    assert (found.tuned.augment, found.tuned.mix, found.tuned.precision) == ("jitter", "none", "fp32")
    assert found.backbone_lr_scale == 0.1
    assert OURS.by_authors(OWN, 5).updates == 10  # a batch holds no clip twice


def test_without_epochs_the_updates_of_the_profile_stay() -> None:
    found = OURS.by_authors(OwnRecipe(lr=0.01, batch_size=8, weight_decay=0.2), 20)
    assert (found.updates, found.warmup) == (100, 0.1)


def test_the_rate_ends_at_its_floor() -> None:
    found = OURS.by_authors(OWN, 20)
    factors = [found.lr_factor(step) for step in range(25)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[-1] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 20 / 21)))
    assert all(a >= b > 0.01 for a, b in itertools.pairwise(factors[4:]))
