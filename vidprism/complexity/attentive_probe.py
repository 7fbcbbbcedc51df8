"""The attentive probe over frame features."""

from __future__ import annotations

from vidprism.complexity.cost import Cost, linear, norm, products, table, total


def head(dim: int, n_classes: int, n_steps: int, heads: int, ffn_ratio: int) -> Cost:
    """See `vidprism.methods.attentive_probe`; `heads` changes nothing in the count."""
    attention = total(linear(n_steps, dim, 2 * dim), products(1, n_steps, dim), linear(1, dim, dim))
    ffn = linear(1, dim, ffn_ratio * dim) + linear(1, ffn_ratio * dim, dim)
    return total(table(n_steps, dim), table(dim), attention, ffn, norm(dim).times(3), linear(1, dim, n_classes))
