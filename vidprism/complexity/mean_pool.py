"""The linear probe: LayerNorm and a classifier on the mean frame."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, norm


def head(dim: int, n_classes: int, n_steps: int) -> Cost:
    """See `vidprism.methods.mean_pool`."""
    return norm(dim) + linear(1, dim, n_classes)
