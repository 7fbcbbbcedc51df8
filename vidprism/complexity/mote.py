"""MoTE: layers over the frame features whose feed-forward parts are experts, merged into one at test."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, table, total, transformer_layer

POSITIONS = 77


def head(
    dim: int,
    n_classes: int,
    n_steps: int,
    layers: int,
    experts: int,
    tuned_share: float,
    lambda_merged: float,
    lambda_mse: float,
) -> Cost:
    """See `vidprism.methods.mote`. One expert's products are counted, and the parameters of all."""
    expert = linear(1, dim, 4 * dim) + linear(1, 4 * dim, dim)
    others = Cost(0, (experts - 1) * expert.parameters)
    stack = (transformer_layer(n_steps, dim) + others).times(layers)
    return total(table(POSITIONS, dim), stack, Cost(dim * n_classes, 1))
