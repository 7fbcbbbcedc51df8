"""The cost of a method: multiply-adds of one view and parameters, by formula, without torch and without weights.

A backbone has a file here under its name in vidprism/backbones, with `tower(model)`, which gives `dim`, `view(frames)`
(the cost) and `steps(frames)` (the features of a view). A method has a file under its name in vidprism/methods, with
`head(dim, n_classes, n_steps, **options)` or, if it sees clips, `clips(tower, n_classes, frames, **options)`, which
gives an `Adapted`. The formulas are kept outside the modules that they describe, so that a
table with costs is built without torch and a corrected formula retrains nothing. Tests compare each formula with its
module, using torch's counter on the meta device. `published` does the same for methods of the paper's Table 1 that the
suite has not implemented.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from vidprism.config import ConfigError, nearest

KINETICS_CLASSES = 400


@dataclass(frozen=True)
class Count:
    """Cost of one view of T frames: the encoder's visual side and the head, or what a method adds inside the encoder.
    The text tower is not counted, because it runs once per dataset; its parameters are counted where a method trains
    them.
    """

    macs: int
    parameters: int
    trainable_parameters: int
    head_macs: int

    @property
    def gmacs(self) -> float:
        """10^9 multiply-adds of one view."""
        return self.macs / 1e9


def count(
    method: str,
    backbone: str,
    frames: int,
    *,
    n_classes: int = KINETICS_CLASSES,
    options: dict[str, Any] | None = None,
    track: str = "tuned",
    key: str = "clip",
) -> Count:
    """Multiply-adds and parameters of a method on a backbone.

    Args:
        method: a file of vidprism/methods.
        backbone: model name, as under `model` in params.yaml, for example `ViT-B-16-quickgelu`.
        frames: T, frames of a view.
        options: the method's options as a record holds them, complete; None takes its defaults (which imports torch).
        track: on the `tuned` track the image tower is trained, on the `frozen` track only the head.
        key: a file of vidprism/backbones.

    Raises:
        ConfigError: unknown method, option or kind of backbone.
        ValueError: unknown model; rates that do not divide the frames.
    """
    tower = import_module(f"{__name__}.{_known(key, 'backbones')}").tower(backbone)
    module = import_module(f"{__name__}.{_known(method, 'methods')}")
    if options is None:
        from vidprism import methods

        options = methods.resolve(method, {}, tower.steps(frames))
    view = tower.view(frames)
    if hasattr(module, "clips"):
        found = module.clips(tower, n_classes, frames, **options)
        return Count(found.view.macs, found.view.parameters, found.trained, found.view.macs - view.macs)
    more = {"text": tower.text} if getattr(module, "READS_TEXT", False) else {}
    head = module.head(tower.dim, n_classes, tower.steps(frames), **options, **more)
    tuned = track == "tuned" and not getattr(module, "FREEZES_TOWER", False)
    trained = head.parameters and head.parameters + (view.parameters if tuned else 0)
    return Count(view.macs + head.macs, view.parameters + head.parameters, trained, head.macs)


def time_steps(key: str, model: str, frames: int) -> int:
    """Features that a kind of backbone makes of a clip: one per frame, or fewer if it sees several frames at once.

    Raises:
        ConfigError: unknown kind of backbone, or one without a file here.
        ValueError: unknown model.
    """
    return import_module(f"{__name__}.{_known(key, 'backbones')}").tower(model).steps(frames)


def has_formula(method: str, key: str) -> bool:
    """Whether a method and a kind of backbone both have a file here. A new method runs without one, and its cost is not
    counted.
    """
    return {method, key} <= _stems(Path(__file__).parent)


def _stems(folder: Path) -> set[str]:
    return {f.stem for f in folder.glob("*.py") if f.stem != "__init__"}


def _known(name: str, folder: str) -> str:
    members = _stems(Path(__file__).resolve().parents[1] / folder)
    if name not in members:
        raise ConfigError(f"nothing named '{name}' in vidprism/{folder}; {nearest(name, sorted(members))}")
    if name not in _stems(Path(__file__).parent):
        raise ConfigError(f"'{name}' of vidprism/{folder} has no formula; write vidprism/complexity/{name}.py")
    return name
