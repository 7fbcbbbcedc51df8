"""Logistic regression on the mean frame and the half difference: a linear classifier."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear


def head(dim: int, n_classes: int, n_steps: int) -> Cost:
    """See `vidprism.methods.regression_halves`."""
    return linear(1, 2 * dim, n_classes)
