"""ActionCLIP: both towers, trained, and layers over the frames."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, table, transformer_layer

POSITIONS, TEMPLATES = 77, 16


def clips(tower: Tower, n_classes: int, frames: int, layers: int) -> Adapted:
    """See `vidprism.methods.action_clip`. The texts are encoded once for all videos."""
    assert tower.text is not None
    over_time = table(POSITIONS, tower.dim) + transformer_layer(frames, tower.dim).times(layers)
    texts = Cost(tower.dim * n_classes * TEMPLATES, tower.text.parameters)
    view = tower.view(frames) + over_time + texts
    return Adapted(view, view.parameters)
