"""Few-shot draws: which K training videos of each class a repeat sees. Nested, so that 2 shots lie inside 4,
4 inside 8.

The order of a class is that of sha256("<seed>/<video_id>"): it needs no random generator, and a copy of the
dataset that lacks some videos draws the same others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import pandas as pd

from vidprism.datasets import DatasetError


def hash_order(items: Iterable[str], seed: int) -> list[str]:
    """`items` in an order that depends on `seed` and on each item alone."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}/{item}".encode()).hexdigest())


def nested(df: pd.DataFrame, shots: Sequence[int], seeds: Sequence[int]) -> dict:
    """Draw K videos a class from the training pool (dev held out), for each seed and K.

    Unreadable videos are left out of the pool, so that K shots are K videos; their number is recorded.

    Args:
        df: a manifest (`vidprism.manifest.build`).
        shots: the values of K.
        seeds: one draw each.

    Returns:
        `shots`; `draws`: seed -> class name -> max(K) video ids, of which the first K are the K-shot draw;
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
            raise DatasetError(
                f"class '{name}' has {available} readable training videos beside the dev pool, too few for "
                f"{most} shots; lower protocol.shots or protocol.dev_per_class in params.yaml"
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


def _digest(drawn: dict[str, list[str]], k: int) -> str:
    lines = [f"{name}\t{video_id}\n" for name, videos in drawn.items() for video_id in videos[:k]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
