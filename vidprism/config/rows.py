"""The rows that a profile expects. A row is one line of a table and one training stage of the pipeline.

Tables, evaluation and pipeline all take their rows from here and never from the files on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vidprism.config import Config, ConfigError, nearest
from vidprism.config.sections import Augmentation, OwnRecipe

AWAITING = "its backbone's weights are not on this disk; once they are, move the row from `awaiting` to `single`"
GROUPS = ("closed_set", "few_shot", "ablations")


@dataclass(frozen=True)
class Row:
    """One row: a method on a backbone over its cells (dataset x shots), each with several repeats.

    A None in `shots` stands for the whole training list. Repeat i trains with seed i, on draw i if there are draws.
    `augment` changes the clips of the training (`train.augment`) for this row alone, and `init_from` is the row of
    Table 1 from whose weights it starts. `own` is the recipe of the method's authors, where the profile has one: the
    number of updates then follows from the cell. `off` explains why a row of the table is not trained; it is empty for
    rows that are.
    """

    group: str
    key: str
    method: str
    backbone: str
    frames: int
    datasets: tuple[str, ...]
    shots: tuple[int | None, ...]
    repeats: tuple[int, ...]
    options: dict[str, Any]
    track: str
    updates: int
    batch_size: int
    off: str = ""
    augment: Augmentation | Literal[""] = ""
    init_from: str = ""
    own: OwnRecipe | None = None

    @property
    def cells(self) -> list[tuple[str, int | None]]:
        """The row's cells in order: (dataset, shots)."""
        return [(dataset, shots) for dataset in self.datasets for shots in self.shots]


def rows(config: Config, group: str) -> dict[str, Row]:
    """The rows of one group of the chosen profile, in table order, by key.

    Raises:
        ConfigError: the group does not exist.
    """
    if group not in GROUPS:
        raise ConfigError(f"no group of rows named '{group}'; {nearest(group, GROUPS)}")
    found = {"closed_set": _closed_set, "few_shot": _few_shot, "ablations": _ablations}[group](config)
    return {row.key: row for row in found}


def row(config: Config, group: str, key: str) -> Row:
    """One row by its key.

    Raises:
        ConfigError: the profile has no such row.
    """
    found = rows(config, group)
    if key not in found:
        raise ConfigError(f"profile '{config.profile.name}' has no row '{key}' in {group}; {nearest(key, found)}")
    return found[key]


def _make(config: Config, group: str, key: str, method: str, **rest: Any) -> Row:
    p = config.profile
    defaults = {
        "options": dict(config.methods.get(method, {})),
        "track": p.protocol.track,
        "updates": p.train.updates,
        "batch_size": p.train.batch_size,
    }
    found = {**defaults, **rest}
    own = next((recipe for of, recipe in p.train.own.get(method, {}).items() if of == group), None)
    if own is not None and found["track"] == "tuned":
        found |= {"own": own, "batch_size": own.batch_size}
    return Row(group=group, key=key, method=method, **found)


def _closed_set(config: Config) -> list[Row]:
    c = config.profile.closed_set
    cell = {"datasets": (c.dataset,), "shots": (None,), "repeats": c.repeats, "updates": c.updates}
    waiting = [(row.method, row.backbone, row.frames) for row in c.awaiting]
    return [
        _make(
            config,
            "closed_set",
            f"{method}-{backbone}-{frames}f",
            method,
            backbone=backbone,
            frames=frames,
            **cell,
            off=AWAITING if (method, backbone, frames) in waiting else "",
        )
        for method, backbone, frames in (*c.rows, *waiting)
    ]


def _few_shot(config: Config) -> list[Row]:
    c, tuned = config.profile.few_shot, config.profile.tuned
    cells = {"frames": c.frames, "datasets": c.datasets, "shots": c.shots, "repeats": c.repeats}
    full = [
        _make(config, "few_shot", method, method, backbone=c.backbone, **cells) for method in (*c.controls, *c.vidprism)
    ]
    single = [
        _make(
            config,
            "few_shot",
            f"{one.method}-{one.backbone}",
            one.method,
            backbone=one.backbone,
            **{**cells, "frames": one.frames or c.frames},
            off=AWAITING if one in c.awaiting else "",
        )
        for one in (*c.single, *c.awaiting)
    ]
    base = {"backbone": c.backbone, **cells}
    otherwise = [
        _make(config, "few_shot", f"{one.method}-{one.augment}", one.method, augment=one.augment, **base)
        for one in c.augmented
    ] + [
        _make(config, "few_shot", f"{one.method}-continued", one.method, init_from=one.init_from, **base)
        for one in c.continued
    ]
    more = [
        _make(config, "few_shot", f"{method}-{backbone}", method, backbone=backbone, **cells)
        for backbone in c.more.backbones
        for method in c.more.methods
    ]
    cell = {"datasets": tuned.datasets, "shots": tuned.shots, "repeats": tuned.repeats, "frames": tuned.frames}
    recipe = {"track": "tuned", "updates": tuned.updates, "batch_size": tuned.batch_size}
    both = [
        _make(config, "few_shot", f"{method}-tuned", method, backbone=c.backbone, **cell, **recipe)
        for method in (*c.tuned_controls, *c.tuned_vidprism)
    ]
    return full + single + otherwise + more + _video(config) + both


def _video(config: Config) -> list[Row]:
    """Rows on video encoders."""
    c = config.profile.few_shot
    cells = {"frames": c.video.frames, "datasets": c.video.datasets, "shots": c.shots, "repeats": c.repeats}
    off = "few_shot.video.run of params.yaml does not list its backbone (the weights are for non-commercial use only)"
    return [
        _make(
            config,
            "few_shot",
            f"{method}-{backbone}",
            method,
            backbone=backbone,
            **cells,
            off="" if backbone in c.video.run else off,
        )
        for backbone in c.video.backbones
        for method in c.video.methods
    ]


def _ablations(config: Config) -> list[Row]:
    c = config.profile.ablations
    base = config.methods.get(c.method, {})
    cell = {"datasets": c.datasets, "shots": (c.shots,), "repeats": c.repeats, "frames": c.frames}
    return [
        _make(config, "ablations", key, c.method, backbone=c.backbone, **cell, options={**base, **changed})
        for key, changed in c.variants.items()
    ]
