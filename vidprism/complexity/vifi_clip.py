"""ViFi-CLIP: the towers as they are, both trained."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost


def clips(tower: Tower, n_classes: int, frames: int, label_smoothing: float) -> Adapted:
    """See `vidprism.methods.vifi_clip`. The texts are encoded once for all videos."""
    assert tower.text is not None
    view = tower.view(frames) + Cost(tower.dim * n_classes, tower.text.parameters)
    return Adapted(view, view.parameters)
