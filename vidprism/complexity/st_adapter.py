"""ST-Adapter inside CLIP's tower."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, bottleneck, depthwise, linear


def clips(tower: Tower, n_classes: int, frames: int, places: list[str], dropout: float) -> Adapted:
    """See `vidprism.methods.st_adapter`; `dropout` changes nothing in the count. The projection is not used."""
    narrow = min(384, tower.width // 2)
    adapter = bottleneck(tower.patches, tower.width, narrow) + depthwise(tower.patches, 3, narrow)
    adapters = adapter.applied(frames).times(tower.layers * len(places))
    classifier = linear(1, tower.width, n_classes)
    unused = Cost(-frames * tower.projection.macs)
    new = adapters + classifier
    return Adapted(tower.view(frames) + new + unused, new.parameters)
