"""Logistic regression on all frames: a linear classifier."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear


def head(dim: int, n_classes: int, n_steps: int) -> Cost:
    """See `vidprism.methods.regression_frames`."""
    return linear(1, n_steps * dim, n_classes)
