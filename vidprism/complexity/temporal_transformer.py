"""The temporal transformer over frame features."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, norm, table, total, transformer_layer


def head(dim: int, n_classes: int, n_steps: int, layers: int, heads: int, ffn_ratio: int) -> Cost:
    """See `vidprism.methods.temporal_transformer`; `heads` changes nothing in the count."""
    stack = transformer_layer(n_steps, dim, ffn_ratio).times(layers)
    return total(table(n_steps, dim), stack, norm(dim).times(2), linear(1, dim, n_classes))
