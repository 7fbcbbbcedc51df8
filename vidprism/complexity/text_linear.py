"""A linear classifier on the normalised mean frame."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear


def head(dim: int, n_classes: int, n_steps: int) -> Cost:
    """See `vidprism.methods.text_linear`."""
    return linear(1, dim, n_classes)
