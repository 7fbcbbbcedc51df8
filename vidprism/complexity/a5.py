"""A5: layers over the frame features, and learned vectors among the words of the class texts."""

from __future__ import annotations

from vidprism.complexity.clip import Text
from vidprism.complexity.cost import Cost, table, total, transformer_layer

READS_TEXT = True  # `head` takes the shape of the text tower
FREEZES_TOWER = True  # on either track


def head(dim: int, n_classes: int, n_steps: int, vectors: int, layers: int, text: Text) -> Cost:
    """See `vidprism.methods.a5`. The prompted texts are encoded once for all videos."""
    over_time = table(n_steps, dim) + transformer_layer(n_steps, dim).times(layers)
    return total(table(text.context, text.width), over_time, Cost(dim * n_classes))
