"""STAN: a branch beside the last blocks of CLIP's tower."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, attention, linear, norm, table, total

TIMES = 64


def clips(tower: Tower, n_classes: int, frames: int, time: str, depth: int, drop_path: float) -> Adapted:
    """See `vidprism.methods.stan`. Over space the class token passes the MLP with every frame."""
    width, depth = tower.width, min(depth, tower.layers // 2)
    places = frames * tower.patches
    if time == "attention":
        over_time = norm(width) + attention(frames, width).applied(tower.patches)
    else:
        over_time = Cost(places * 27 * width**2, 27 * width**2 + width)
    part = total(over_time, linear(places, width, width), tower.block(tower.tokens).applied(frames))
    branch = part.times(depth) + table(TIMES, width)
    view = total(tower.view(frames), branch, Cost(tower.dim * n_classes))
    return Adapted(view, view.parameters)
