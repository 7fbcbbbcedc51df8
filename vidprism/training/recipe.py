"""The parts of training that both tracks share: batches, learning-rate schedule, the check for a flat loss, and the
searched choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidprism.config import Tuning
from vidprism.config.sections import OwnRecipe
from vidprism.runtime.errors import TrainingError

LOG_EVERY = 10  # updates per point of a recorded loss curve


@dataclass(frozen=True)
class Recipe:
    """One recipe for every method that is trained in updates (AdamW, linear warm-up, a power of half a cosine to zero).

    `updates` is 0 for a method that is not trained, and for a logistic regression, which is fitted at once with
    `inverse_penalty` (C of scikit-learn; 0 for all other methods). `beta2` is AdamW's second beta, and `floor` the
    share of the rate at which the half cosine ends; both are for recipes of other publications on the tuned track.
    """

    updates: int
    batch_size: int
    lr: float
    weight_decay: float
    warmup: float
    backbone_lr_scale: float = 0.0
    decay_power: float = 1.0
    tuned: Tuning = field(default_factory=Tuning)
    inverse_penalty: float = 0.0
    beta2: float = 0.999
    floor: float = 0.0

    def by_authors(self, own: OwnRecipe, n_clips: int) -> Recipe:
        """The recipe of a method's authors in place of this one, for a row that trains on `n_clips` clips. What the
        authors' recipe does not say stays.
        """
        batch_size = min(own.batch_size, n_clips)
        updates = math.ceil(own.epochs * n_clips / batch_size) if own.epochs else self.updates
        return replace(
            self,
            updates=updates,
            batch_size=own.batch_size,
            lr=own.lr,
            weight_decay=own.weight_decay,
            warmup=own.warmup_epochs / own.epochs if own.epochs else self.warmup,
            decay_power=1.0,
            tuned=replace(self.tuned, augment=own.augment, mix=own.mix),
            beta2=own.beta2,
            floor=own.floor,
        )

    def lr_factor(self, step: int) -> float:
        """Share of the peak learning rate at update `step` (from 0): a linear rise over `warmup` of the updates, then
        half a cosine to the power `decay_power` (above 1: a longer tail at low rates), down to `floor`.

        The rate is above 0 in the first and in the last update, so that every update counts.
        """
        rise = max(1, round(self.warmup * self.updates))
        if step < rise:
            return (step + 1) / rise
        half_cosine = 0.5 * (1 + math.cos(math.pi * (step - rise + 1) / (self.updates - rise + 1)))
        return self.floor + (1 - self.floor) * half_cosine**self.decay_power


def batch_order(n: int, batch_size: int, updates: int, seed: int) -> np.ndarray:
    """The clips of each update: shuffled passes over `n` clips, one after the other, cut into batches.

    All clips are seen equally often, up to a difference of one. A batch may hold the end of one pass and the start of
    the next.

    Returns:
        int64 array (updates, batch_size) of numbers below `n`, from the repeat's own generator.
    """
    generator = torch.Generator().manual_seed(seed)
    passes = math.ceil(updates * batch_size / n)
    order = [torch.randperm(n, generator=generator) for _ in range(passes)] or [torch.empty(0, dtype=torch.int64)]
    return torch.cat(order)[: updates * batch_size].view(updates, batch_size).numpy()


def repeat_generator(seed: int) -> torch.Generator:
    """The generator of what a repeat draws during training, on the CPU, so that every device sees the same numbers."""
    return torch.Generator().manual_seed(2**32 + seed)  # another stream than those of its batches and its start


def parameter_groups(
    parameters: Iterable[Tensor], recipe: Recipe, lr_scale: float = 1.0, stacked: bool = False
) -> list[dict[str, Any]]:
    """Groups for AdamW: matrices and tables decay, vectors and scalars (biases, norms) do not.

    `stacked` means that the parameters have the repeats as an extra first dimension; `lr_scale` multiplies the learning
    rate.
    """
    parameters = list(parameters)
    decaying = [p for p in parameters if p.ndim - stacked >= 2]
    others = [p for p in parameters if p.ndim - stacked < 2]
    groups = [
        {"params": decaying, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [{**group, "lr": recipe.lr * lr_scale} for group in groups if group["params"]]


def check_finite(losses_R: list[float], seeds: list[int], step: int, where: str, lr: float) -> None:
    """Stop at the first loss that is not finite.

    Raises:
        TrainingError: names the repeat and the step.
    """
    for loss, seed in zip(losses_R, seeds, strict=True):
        if not math.isfinite(loss):
            raise TrainingError(
                f"{where}, repeat {seed}: the loss is {loss} at update {step + 1}; lower the learning rate "
                f"(now {lr}) or check the features for non-finite values"
            )


def loss_curve(losses_S: np.ndarray) -> tuple[list[int], list[float]]:
    """A loss per update (S,) -> the last update of each full group of `LOG_EVERY`, and the mean loss of the group. NaN
    marks a skipped update.
    """
    n = len(losses_S) // LOG_EVERY
    groups = losses_S[: n * LOG_EVERY].reshape(n, LOG_EVERY) if n else losses_S[:0, None]
    means = np.ma.masked_invalid(groups).mean(axis=1)
    return [(i + 1) * LOG_EVERY for i in range(n)], [round(float(m), 5) for m in means]


def is_flat(curve: list[float]) -> bool | None:
    """Whether a loss curve has levelled off: its last fifth is below the preceding fifth by at most 5 % of the total
    decrease.

    None for curves of fewer than ten points, which are too short to judge.
    """
    if len(curve) < 10:
        return None
    fifth = len(curve) // 5
    last, before = float(np.mean(curve[-fifth:])), float(np.mean(curve[-2 * fifth : -fifth]))
    return before - last <= 0.05 * max(curve[0] - last, 0.0) + 1e-6
