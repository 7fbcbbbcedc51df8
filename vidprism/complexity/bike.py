"""BIKE's video branch: layers over the frames, weighted by the words of each class."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, table, transformer_layer

POSITIONS, WORDS = 77, 8


def clips(tower: Tower, n_classes: int, frames: int, layers: int) -> Adapted:
    """See `vidprism.methods.bike`. How many words the classes have is not known here; eight are counted."""
    over_time = table(POSITIONS, tower.dim) + transformer_layer(frames, tower.dim).times(layers)
    matched = Cost(tower.dim * n_classes * (frames * (WORDS + 1) + 1))
    view = tower.view(frames) + over_time + matched
    return Adapted(view, view.parameters)
