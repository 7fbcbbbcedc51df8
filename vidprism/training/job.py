"""One cell as a unit of work: the input of a track (`Job`) and its result (`Outcome`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from vidprism import methods
from vidprism.config import Config, ConfigError
from vidprism.records.log import Log, Point
from vidprism.training.inputs import Inputs, TrainingSet
from vidprism.training.recipe import Recipe
from vidprism.training.speed import Speed

if TYPE_CHECKING:
    from vidprism.backbones import Backbone


@dataclass(frozen=True)
class Start:
    """The weights of another row's cell, stacked (R, ...), from which a training starts: the row, the file, and the
    file's hash.
    """

    row: str
    path: Path
    sha256: str

    def of_repeat(self, i: int, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The stored values of repeat `i` for those of `parameters` that have the same name and shape."""
        from safetensors import safe_open

        found = {}
        with safe_open(self.path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no dictionary)
                stacked = file.get_tensor(name)
                value = stacked[min(i, len(stacked) - 1)]
                if name in parameters and parameters[name].shape == value.shape:
                    found[name] = value
        return found


@dataclass(frozen=True)
class Job:
    """One cell to train and score: a method with its options, a training set and a seed for each repeat, the split to
    score, the folder where the tuned track keeps the state of a training (None: nowhere), a log to fill, and the
    weights of another row to start from.
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
    start: Start | None = None

    def descriptions(self, inputs: Inputs) -> dict[str, str]:
        """File and sha256 of the sentences about classes that the method reads; empty if it reads none."""
        kinds = methods.description_kinds(self.method, self.options)
        return inputs.described(kinds)[1] if kinds else {}

    @property
    def batch_size(self) -> int:
        """Clips per update: that of the recipe, or the number of listed clips if it is smaller. It is the same for all
        repeats.
        """
        return min(self.recipe.batch_size, *(chosen.n_listed for chosen in self.training))

    def build(self, inputs: Inputs, seed: int, backbone: Backbone | None = None) -> nn.Module:
        """The method, initialised from the repeat's seed; on the tuned track with the repeat's own backbone."""
        task = task_of(self.method, self.options, self.prompt_set, inputs, backbone)
        return methods.build(self.method, task, self.options, seed)


def task_of(
    method: str, options: dict[str, Any], prompt_set: str, inputs: Inputs, backbone: Backbone | None = None
) -> methods.Task:
    """What a method is built for: a dataset at one clip length, and the towers that the method asks for.

    Raises:
        ConfigError: the backbone lacks such a tower.
    """
    text, tower, uses = None, None, methods.says(method, "USES")
    if backbone is not None:
        tower = backbone.tower() if "tower" in uses or methods.says(method, "SEES") == "clips" else None
        text = backbone.text_tower() if "text" in uses else None
    elif "text" in uses:
        text = inputs.load_backbone("cuda" if torch.cuda.is_available() else "cpu").text_tower()
        text.module.requires_grad_(False)
    if tower is not None and tower.joint and not methods.says(method, "ON_JOINT"):
        raise ConfigError(
            f"params.yaml: method '{method}' works on single frames inside the tower, and the backbone "
            f"'{inputs.backbone['name']}' joins all frames of a clip; choose another backbone for it"
        )
    features_CD, words = inputs.text(prompt_set), tuple(inputs.class_texts)
    templates = _templates(methods.says(method, "PROMPT_SET"))
    about = inputs.dim, inputs.n_classes, inputs.n_steps, features_CD, inputs.logit_scale
    kinds = methods.description_kinds(method, options)
    described = inputs.described(kinds)[0] if kinds else {}
    return methods.Task(*about, words, templates, described, tower, text)


def _templates(prompt_set: str) -> tuple[str, ...]:
    """The sentences of a prompt set; the bare class for a method that names none."""
    if not prompt_set:
        return ("{}",)
    from vidprism.features.prompts import PROMPT_SETS  # imported here: rows of other methods do not depend on it

    return PROMPT_SETS[prompt_set]


@dataclass(frozen=True)
class Outcome:
    """The result of a track: R repeats, S updates, N readable videos of the split, V views, C classes, E experts.

    `losses` (R, S); `logits` (R, N, V, C); `experts` (R, N, E), mean weights over views, and `usage_train` (R, C, E),
    their mean over each class's training clips (both None without experts); `weights`, the stored parameters by name,
    stacked (R, ...); `n_parameters`, the number of trained parameters of one repeat; `speed`, measured only on the
    tuned track; `skipped`, for each repeat the videos of every update that was skipped because its loss or gradient was
    not finite (its loss is NaN); `failed`, the training videos that could not be read, with the reason; `logs`, the
    points of each series of the log (`vidprism.records.log`).
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


def join_outcomes(outcomes: list[Outcome], device: str) -> Outcome:
    """Combine several outcomes, each with some of the repeats, into one."""

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
    """The recipe and the prompt set of a method, given the result of its search: a learning rate, the inverse penalty
    of a logistic regression, or a prompt set if the method is not trained.

    Trained methods that use class texts get the last of `protocol.prompt_sets`.
    """
    train, protocol, searched = config.profile.train, config.profile.protocol, methods.load_method(method).SEARCHED
    without_updates = Recipe(0, batch_size, 0.0, 0.0, 0.0)
    if searched == "prompt_set":
        return without_updates, str(chosen)
    if searched == "c":
        return replace(without_updates, inverse_penalty=float(chosen)), protocol.prompt_sets[-1]
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
