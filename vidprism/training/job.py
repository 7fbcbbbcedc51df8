"""One cell as a piece of work: what a track is asked to do (`Job`) and what it returns (`Outcome`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidprism import methods
from vidprism.config import Config
from vidprism.records.log import Log, Point
from vidprism.training.inputs import Inputs, TrainingSet
from vidprism.training.recipe import Recipe
from vidprism.training.speed import Speed


@dataclass(frozen=True)
class Job:
    """One cell to train and score: a method with its options, a training set and a seed for each repeat, the split to
    score, the folder in which the tuned track keeps the state of a training (None: nowhere), and a log to be filled.
    """

    method: str
    options: dict[str, Any]
    prompt_set: str
    recipe: Recipe
    training: list[TrainingSet]
    seeds: list[int]
    split: str
    where: str
    states: Path | None = None
    log: Log = field(default_factory=partial(Log, ""))

    @property
    def batch_size(self) -> int:
        """Clips per update: the recipe's, or every listed clip where there are fewer. The same for all
        repeats.
        """
        return min(self.recipe.batch_size, *(chosen.n_listed for chosen in self.training))

    def build(self, inputs: Inputs, seed: int) -> nn.Module:
        """The method, initialised from the repeat's seed."""
        task = methods.Task(
            inputs.dim, inputs.n_classes, inputs.n_steps, inputs.text(self.prompt_set), inputs.logit_scale
        )
        return methods.build(self.method, task, self.options, seed)


@dataclass(frozen=True)
class Outcome:
    """What a track returns: R repeats, S updates, N readable videos of the split, V views, C classes, E
    experts.

    `losses` (R, S); `logits` (R, N, V, C); `experts` (R, N, E), mean weights over views, and `usage_train`
    (R, C, E), their mean over each class's training clips (both None without experts); `weights` the stacked
    parameters (R, ...) by name that are kept, `n_parameters` the number of trained ones of one repeat; `speed` is
    measured on the tuned track only, and `skipped` holds for each repeat the videos of every update that was left out
    because its loss or gradient was not finite (its loss is NaN), `failed` the training videos that could not be read,
    with the reason; `logs` the points of each series of the log (`vidprism.records.log`).
    """

    losses: np.ndarray
    logits: np.ndarray
    experts: np.ndarray | None
    usage_train: np.ndarray | None
    weights: dict[str, Tensor]
    n_parameters: int
    device: str = "cpu"
    speed: Speed | None = None
    skipped: list[list[list[str]]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    logs: dict[str, list[Point]] = field(default_factory=dict)


def join(outcomes: list[Outcome], device: str) -> Outcome:
    """One outcome out of several that hold some repeats each."""

    def stacked(name: str) -> Any:
        parts = [getattr(outcome, name) for outcome in outcomes]
        return None if parts[0] is None else np.concatenate(parts)

    losses, logits, experts, usage = map(stacked, ("losses", "logits", "experts", "usage_train"))
    weights = {name: torch.cat([o.weights[name] for o in outcomes]) for name in outcomes[0].weights}
    measured = sum((outcome.speed for outcome in outcomes if outcome.speed), Speed())
    skipped = [of_one for outcome in outcomes for of_one in outcome.skipped]
    failed = [of_one for outcome in outcomes for of_one in outcome.failed]
    logs = {series: points for outcome in outcomes for series, points in outcome.logs.items()}
    n = outcomes[0].n_parameters
    return Outcome(losses, logits, experts, usage, weights, n, device, measured, skipped, failed, logs)


def class_means(values_NE: np.ndarray, labels_N: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean of `values` (N, E) over the videos of each class, (C, E); NaN for a class without videos."""
    means = np.full((n_classes, values_NE.shape[1]), np.nan, dtype=np.float32)
    for label in np.unique(labels_N):
        means[label] = values_NE[labels_N == label].mean(axis=0)
    return means


def plan(config: Config, method: str, chosen: float | str, updates: int, batch_size: int) -> tuple[Recipe, str]:
    """The recipe and the prompt set of a method, given what a search chose: a learning rate, or a prompt set
    if it is not trained.

    Trained methods that use class texts get the last of `protocol.prompt_sets`.
    """
    train, protocol = config.profile.train, config.profile.protocol
    if not methods.load_method(method).TRAINED:
        return Recipe(0, batch_size, 0.0, 0.0, 0.0), str(chosen)
    recipe = Recipe(
        updates,
        batch_size,
        float(chosen),
        train.weight_decay,
        train.warmup,
        train.backbone_lr_scale,
        train.decay_power,
        train.tuned,
    )
    return recipe, protocol.prompt_sets[-1]
