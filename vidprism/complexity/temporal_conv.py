"""Residual convolutions over time."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, norm, total


def head(dim: int, n_classes: int, n_steps: int, layers: int, kernel: int) -> Cost:
    """See `vidprism.methods.temporal_conv`. A convolution is a product with `kernel` times the width, ends included."""
    layer = linear(n_steps, kernel * dim, dim) + norm(dim)
    return total(layer.times(layers), norm(dim).times(2), linear(1, dim, n_classes))
