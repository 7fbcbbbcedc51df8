"""The methods of Tables 1 and 2, one file each; the key in ``params.yaml`` is the file's name.

A method module holds `LABEL` (its name in the tables), `SEARCHED` (what its search tries), `DEFAULTS` (the options it
accepts) and `build(task, **options)`, which returns a module with ``forward(features_BTD) -> Output`` and
``objective(output, labels_B) -> dict``, whose entry "total" is minimised. `SEARCHED` is one of

- "lr", the learning rate of a method that is trained in updates;
- "c", the inverse strength of the penalty of a logistic regression. Its module also has ``fit(features_NTD, labels_N,
  c)``, which solves it at once on cached features, so that it has no rows on the tuned track;
- "prompt_set", the class texts of a method that is not trained.

What a method module may say besides:

- ``SEES = "clips"``: the built module brings ``encode(clips_BTSS3)``, a tensor or a dict of tensors with B first, in
  which no clip sees another; ``forward`` takes its result instead of features. It runs on the tuned track alone.
- ``ON_JOINT = True``: a method that sees clips also works in a tower where all patches of a clip form one sequence;
- ``IS_PEER = True``: it is another publication's method, and not a control or VidPrism. Its docstring has a sentence
  that begins with "Source:", and names what is "a choice of this suite".
- ``TEMPORAL = False``: the order of the frames makes no difference.
- ``STARTS_AS_BACKBONE = True``: before the first update, the clip's feature is the one of the untouched backbone.
- ``USES = ("tower", "text")``, or one of the two: `Task.text` is given, and the module keeps it as ``text`` if it runs
  it; on the tuned track `Task.tower` is given, as it is to every method that sees clips.
- ``PROMPT_SET``: the sentences of `vidprism.features.prompts` that it encodes itself (`Task.templates`).
- ``descriptions(options)``: how many sentences of each kind about each class it reads, {"spatial": 4} for example.
- ``resolve(options, n_steps)``, if its defaults depend on the clip.
- ``batch_terms(options)``, the names of terms in its objective that are not means over samples. Micro-batches
  (`train.accumulate`) change such terms, and the record then names them.

What the built module may have besides:

- ``draws(rng, n_clips)``: the random tensors of one update, by name, from the generator of the repeat. ``forward``
  takes them as its second argument, and none when it scores. They are the only randomness of a forward pass: torch's
  own generator is shared by repeats that train side by side.
- ``encode_draws(rng, n_clips)``: the same for ``encode``; every tensor has the clips first.
- ``trained()``: on the tuned track, the parameters that train, with their share of the searched rate. All others are
  frozen. Without it the head trains at the searched rate, and the image tower as `train.tuning` says.
- ``finish()``: on the tuned track, called once after the last update, before scoring.

Modules that see features must run under ``torch.func.vmap`` over stacked parameters, because the repeats of a cell
train side by side. Method files are imported when needed, so that a stage loads only its own.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import torch
from torch import nn

from vidprism.config import ConfigError, nearest
from vidprism.methods._interface import Output, Task, TextTower, Tower, TowerBlock

__all__ = [
    "Output",
    "Task",
    "TextTower",
    "Tower",
    "TowerBlock",
    "available",
    "batch_terms",
    "build",
    "check_track",
    "description_kinds",
    "is_trained",
    "load_method",
    "on_features",
    "resolve",
    "says",
]

_UNSAID = {
    "IS_PEER": False,
    "ON_JOINT": False,
    "SEES": "features",
    "TEMPORAL": True,
    "STARTS_AS_BACKBONE": False,
    "USES": (),
    "PROMPT_SET": "",
}
_SEEDING = Lock()  # cells are built in several threads, which share torch's global generator


def available() -> tuple[str, ...]:
    """Keys of all methods, from the file names of this folder."""
    return tuple(sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_")))


def on_features() -> tuple[str, ...]:
    """Keys of the methods that need nothing but features of clips and of class texts, no tower."""
    return tuple(key for key in available() if says(key, "SEES") == "features" and "text" not in says(key, "USES"))


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


def says(key: str, name: str) -> Any:
    """What a method module says under one of the optional names, or what holds for a module that does not say."""
    return getattr(load_method(key), name, _UNSAID[name])


def check_track(key: str, track: str) -> None:
    """Check that a track can train a method.

    Raises:
        ConfigError: the track is `tuned`, and the method is fitted at once on cached features; or it is `frozen`, and
            the method sees clips.
    """
    if track == "tuned" and load_method(key).SEARCHED == "c":
        raise ConfigError(
            f"params.yaml: method '{key}' is fitted on cached features and cannot be trained on the tuned track; "
            "remove it from the lists of methods of that track"
        )
    if track == "frozen" and says(key, "SEES") == "clips":
        raise ConfigError(
            f"params.yaml: method '{key}' works inside the image tower and cannot be trained on cached features; "
            "list it among the methods of the tuned track"
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


def description_kinds(key: str, options: dict[str, Any]) -> dict[str, int]:
    """How many sentences of each kind about each class a method reads; empty if it reads none."""
    method = load_method(key)
    return method.descriptions({**method.DEFAULTS, **options}) if hasattr(method, "descriptions") else {}


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
