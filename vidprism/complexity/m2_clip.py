"""M2-CLIP: adapters inside CLIP's frozen towers, and two heads."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, bottleneck, depthwise, linear, total


def clips(tower: Tower, n_classes: int, frames: int, places: list[str], head: str, dropout: float) -> Adapted:
    """See `vidprism.methods.m2_clip`. Both heads are counted up to the features; the texts are encoded once."""
    assert tower.text is not None
    width, dim, narrow = tower.width, tower.dim, min(384, tower.width // 2)
    over_time = bottleneck(tower.tokens, width, narrow) + depthwise(tower.tokens, 3, narrow)
    difference = bottleneck(tower.patches, width, narrow) + depthwise(tower.patches, 9, narrow)
    adapters = (over_time + difference).applied(frames).times(tower.layers * len(places))
    of_frames = (bottleneck(1, dim, dim // 2) + depthwise(1, 3, dim // 2)).applied(frames)
    of_text = bottleneck(1, tower.text.width, min(384, 3 * tower.text.width // 4)).parameters
    classifier = linear(1, width, n_classes)
    cosines = Cost(dim * n_classes * 16)
    scored = classifier if head == "linear" else Cost(cosines.macs, classifier.parameters)
    new = total(adapters, of_frames, scored, Cost(0, of_text))
    return Adapted(tower.view(frames) + new, new.parameters)
