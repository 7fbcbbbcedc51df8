"""A gated recurrent unit over frame features."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, norm, total


def head(dim: int, n_classes: int, n_steps: int) -> Cost:
    """See `vidprism.methods.gru`: three gates of the input and of the state in every step."""
    gates = linear(n_steps, dim, 3 * dim).times(2)
    return total(gates, norm(dim).times(2), linear(1, dim, n_classes))
