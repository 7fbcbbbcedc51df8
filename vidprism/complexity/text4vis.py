"""Text4Vis: layers over the frame features and cosines with C class texts, which are encoded once for all videos."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, table, total, transformer_layer

POSITIONS = 77


def head(dim: int, n_classes: int, n_steps: int, layers: int) -> Cost:
    """See `vidprism.methods.text4vis`. The texts are not trained; the scale is one parameter."""
    positions = table(POSITIONS, dim) if layers else Cost()
    return total(positions, transformer_layer(n_steps, dim).times(layers), Cost(dim * n_classes, 1))
