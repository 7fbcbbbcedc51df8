"""The dev pool, held out of the training list, and few-shot draws: which K training videos of each class a repeat sees.
Draws are nested: 2 shots are part of 4, and 4 of 8.

The order of a class is that of sha256("<seed>/<video_id>"). It needs no random generator, and a copy of the dataset
that lacks some videos draws the same others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from vidprism.datasets import DatasetError, Video


def hash_order(items: Iterable[str], seed: int) -> list[str]:
    """`items` in an order that depends only on `seed` and on each item."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}/{item}".encode()).hexdigest())


def hold_out(videos: list[Video], per_class: int, seed: int, grouped: bool, reserved: Collection[str] = ()) -> set[str]:
    """Video ids of the dev pool, taken from the training list in hash order.

    If videos are grouped, whole groups are taken as long as they fit into `per_class`; if none fits, the smallest group
    is taken. A group with a `reserved` video stays in training. A class in which every group has a reserved video
    shares groups with the dev pool: the other videos of the groups with the fewest reserved ones are held out.

    Raises:
        DatasetError: a class would keep no training video, or has no video that is not reserved.
    """
    reserved = set(reserved)
    members: dict[str, dict[str, list[str]]] = {}
    for v in videos:
        unit = v.group if grouped and v.group else v.video_id
        members.setdefault(v.class_name, {}).setdefault(unit, []).append(v.video_id)
    held: set[str] = set()
    for name, units in members.items():
        free = {unit: ids for unit, ids in units.items() if not reserved.intersection(ids)}
        chosen = _whole(free, per_class, seed) if free else _beside(units, reserved, per_class, seed)
        if per_class and not chosen:
            raise DatasetError(
                f"class '{name}' has no training video for the dev pool beside those of "
                "protocol.shot_lists; use fewer lists"
            )
        if len(chosen) == sum(map(len, units.values())):
            raise DatasetError(
                f"class '{name}' has only {len(chosen)} training videos, all needed for the dev pool; lower "
                "protocol.dev_per_class in params.yaml"
            )
        held.update(chosen)
    return held


def _whole(units: dict[str, list[str]], per_class: int, seed: int) -> list[str]:
    """Groups with at most `per_class` videos in total, or the smallest group."""
    chosen: list[str] = []
    for unit in hash_order(units, seed):
        if len(chosen) + len(units[unit]) <= per_class:
            chosen += units[unit]
    return chosen if chosen or not per_class else min(units.values(), key=len)


def _beside(units: dict[str, list[str]], reserved: set[str], per_class: int, seed: int) -> list[str]:
    """At most `per_class` videos that are not reserved, from the groups with the fewest reserved videos."""
    order = sorted(hash_order(units, seed), key=lambda unit: len(reserved.intersection(units[unit])))
    return [v for unit in order for v in hash_order(units[unit], seed) if v not in reserved][:per_class]


def nested(df: pd.DataFrame, shots: Sequence[int], seeds: Sequence[int]) -> dict:
    """Draw K videos per class from the training pool (without the dev pool) for each seed and K.

    Unreadable videos are left out of the pool, so that K shots are K videos; their number is recorded.

    Args:
        df: a manifest (`vidprism.videos.manifest.build_manifest`).
        shots: the values of K.
        seeds: one draw each.

    Returns:
        `shots`; `draws`: seed -> class name -> max(K) video ids, whose first K are the K-shot draw;
        `sha256`: seed -> K -> hash of that draw; `excluded_unreadable`: class name -> count.

    Raises:
        DatasetError: a class has fewer readable training videos than the largest K.
    """
    pool = df[df["split"] == "train"]
    by_class = {
        name: list(part.loc[part["readable"], "video_id"]) for name, part in pool.groupby("class_name", sort=True)
    }
    most = max(shots)
    for name in df["class_name"].unique():
        available = len(by_class.get(name, ()))
        if available < most:
            lost = pool.loc[(pool["class_name"] == name) & ~pool["readable"], "reason"]
            others = f"; {len(lost)} others cannot be read, most often: {commonest(lost)}" if len(lost) else ""
            repair = "repair those, or " if len(lost) else ""
            raise DatasetError(
                f"class '{name}' has {available} readable training videos beside the dev pool, too few for "
                f"{most} shots{others}; {repair}lower protocol.shots or protocol.dev_per_class in params.yaml"
            )
    draws = {str(seed): {name: hash_order(videos, seed)[:most] for name, videos in by_class.items()} for seed in seeds}
    return {
        "shots": list(shots),
        "draws": draws,
        "sha256": {seed: {str(k): _digest(drawn, k) for k in shots} for seed, drawn in draws.items()},
        "excluded_unreadable": {
            name: int(n) for name, n in pool[~pool["readable"]].groupby("class_name").size().items()
        },
    }


def commonest(reasons: pd.Series) -> str:
    """The most frequent reason why videos cannot be read; among equals, the first in alphabetical order."""
    return str(reasons.mode()[0])


def _digest(drawn: dict[str, list[str]], k: int) -> str:
    lines = [f"{name}\t{video_id}\n" for name, videos in drawn.items() for video_id in videos[:k]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
