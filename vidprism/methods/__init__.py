"""The methods of Tables 1 and 2, one file each; the key in ``params.yaml`` is the file's name.

A method module holds `LABEL` (its name in the tables), `SEARCHED` (what its search tries), `DEFAULTS` (the options it
accepts) and `build(task, **options)`, which returns a module with ``forward(features_BTD) -> Output`` and
``objective(output, labels_B) -> dict``, whose entry "total" is minimised. `SEARCHED` is one of

- "lr", the learning rate of a method that is trained in updates;
- "c", the inverse strength of the penalty of a logistic regression. Its module also has ``fit(features_NTD, labels_N,
  c)``, which solves it at once on cached features, so that it has no rows on the tuned track;
- "prompt_set", the class texts of a method that is not trained.

A method may add ``resolve(options, n_steps)`` if its defaults depend on the clip, and
``batch_terms(options)``, the names of terms in its objective that are not means over samples. Micro-batches
(`train.accumulate`) change such terms, and the record then names them. Modules must run under ``torch.func.vmap`` over
stacked parameters, because the repeats of a cell train side by side. Method files are imported when needed, so that a
stage loads only its own.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vidprism.config import ConfigError, nearest

_SEEDING = Lock()  # cells are built in several threads, which share torch's global generator


@dataclass(frozen=True)
class Task:
    """The task that a method is built for.

    `dim` is the width D of a feature and `n_steps` the number T of features in a clip (its frames, or its time steps if
    the encoder sees several frames at once). `text_features_CD` holds the L2-normalised class texts, or None, and
    `logit_scale` the factor that the image-text model applies to cosines.
    """

    dim: int
    n_classes: int
    n_steps: int
    text_features_CD: Tensor | None = None
    logit_scale: float = 1.0


@dataclass
class Output:
    """The result of a control method's forward pass, with the attributes of the VidPrism head's output.

    `logits` (B, C); `fused` (B, F), the clip feature that is classified, where F is D or, for a regression, the width
    of its summary; `expert_weights` is None, because there are no experts.
    """

    logits: Tensor
    fused: Tensor
    expert_weights: Tensor | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)


def available() -> tuple[str, ...]:
    """Keys of all methods, from the file names of this folder."""
    return tuple(sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_")))


def load_method(key: str) -> ModuleType:
    """The module of one method.

    Raises:
        ConfigError: there is no file of that name.
    """
    if key not in available():
        raise ConfigError(f"no method named '{key}' in vidprism/methods/; {nearest(key, available())}")
    return importlib.import_module(f"{__name__}.{key}")


def is_trained(key: str) -> bool:
    """Whether a method learns from training clips, in updates or at once."""
    return load_method(key).SEARCHED != "prompt_set"


def check_track(key: str, track: str) -> None:
    """Check that a track can train a method.

    Raises:
        ConfigError: the track is `tuned`, and the method is fitted at once on cached features.
    """
    if track == "tuned" and load_method(key).SEARCHED == "c":
        raise ConfigError(
            f"params.yaml: method '{key}' is fitted on cached features and cannot be trained on the tuned track; "
            "remove it from the lists of methods of that track"
        )


def resolve(key: str, options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """The complete options of a method: its defaults, overridden by `options`.

    Raises:
        ConfigError: an option that the method does not know, or a value that it cannot take for clips of
            `n_steps` time steps.
    """
    method = load_method(key)
    for name in options:
        if name not in method.DEFAULTS:
            raise ConfigError(f"params.yaml: method '{key}' has no option '{name}'; {nearest(name, method.DEFAULTS)}")
    return method.resolve(options, n_steps) if hasattr(method, "resolve") else {**method.DEFAULTS, **options}


def batch_terms(key: str, options: dict[str, Any]) -> list[str]:
    """Names of the terms in a method's objective that depend on the whole batch. A method whose file does not say
    counts as having one.
    """
    method = load_method(key)
    return method.batch_terms(options) if hasattr(method, "batch_terms") else ["its file has no `batch_terms`"]


def build(key: str, task: Task, options: dict[str, Any], seed: int) -> nn.Module:
    """A freshly initialised method. The same seed gives the same parameters, and torch's global generator is left
    unchanged.

    Raises:
        ConfigError: see `resolve`.
    """
    complete = resolve(key, options, task.n_steps)
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return load_method(key).build(task, **complete)
