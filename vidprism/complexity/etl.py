"""ETL: adapters beside the frozen blocks of both towers."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, depthwise, linear, total


def clips(tower: Tower, n_classes: int, frames: int, share: float, lambda_cc: float, sentences: int) -> Adapted:
    """See `vidprism.methods.etl`. The texts are encoded once for all videos; the shared map counts with the video."""
    assert tower.text is not None
    width, text = tower.width, tower.text
    narrow = 256 if width >= 768 else width // 3
    sequences = frames // tower.steps(frames)  # frames that share one class token
    n_first = frames // sequences
    tokens = frames * tower.patches + n_first
    linear_part = total(linear(tokens, width, narrow), linear(tokens, narrow, narrow), linear(tokens, narrow, width))
    adapter = linear_part + depthwise(frames * tower.patches, 3, width)
    of_text = (linear(1, text.width, narrow) + linear(1, narrow, text.width)).times(min(text.layers, tower.layers))
    new = total(adapter.times(tower.layers), Cost(tower.dim * n_classes, of_text.parameters))
    return Adapted(tower.view(frames) + new, new.parameters)
