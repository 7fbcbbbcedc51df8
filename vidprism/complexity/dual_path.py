"""DualPath: CLIP's frozen tower on 8 frames and on pictures of many frames."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, bottleneck, linear, table, total

FULL_FRAMES = 8


def clips(tower: Tower, n_classes: int, frames: int, grid: int, dropout: float) -> Adapted:
    """See `vidprism.methods.dual_path`."""
    width, dim, n_space, n_time = tower.width, tower.dim, min(FULL_FRAMES, frames), frames // grid**2
    adapter = bottleneck(tower.tokens, width, width // 4)
    adapters = (adapter.applied(n_space).times(2) + adapter.applied(n_time).times(3)).times(tower.layers)
    head = linear(1, 2 * dim, dim) + linear(1, dim, n_classes)
    new = total(adapters, table(tower.tokens, width), head)
    return Adapted(total(tower.frame.applied(n_space + n_time), new, Cost()), new.parameters)
