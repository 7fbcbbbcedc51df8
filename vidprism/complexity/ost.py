"""OST: the towers as they are, both trained; sets of sentences and optimal transport."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost

KINDS, ITERATIONS = 2, 100


def clips(tower: Tower, n_classes: int, frames: int, sentences: int) -> Adapted:
    """See `vidprism.methods.ost`. The sentences are encoded once for all videos."""
    assert tower.text is not None
    similar = tower.dim * n_classes * (1 + frames * sentences)
    transport = 2 * ITERATIONS * n_classes * frames * sentences
    view = tower.view(frames) + Cost(KINDS * (similar + transport), tower.text.parameters)
    return Adapted(view, view.parameters)
