"""Multiply-adds and parameters of the layers that every model here consists of.

A multiply-add (MAC) is one product and one addition; the video literature often calls it a "FLOP". Linear maps,
convolutions and both products of an attention (queries with keys, weights with values) are counted. Normalisations,
softmax, activations, interpolation and additions are left out: they are below one percent of any model here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of one pass and number of parameters. Costs can be added."""

    macs: int = 0
    parameters: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.parameters + other.parameters)

    def times(self, n: int) -> Cost:
        """`n` such layers, each with its own parameters."""
        return Cost(self.macs * n, self.parameters * n)

    def applied(self, n: int) -> Cost:
        """The same layer applied `n` times."""
        return Cost(self.macs * n, self.parameters)


@dataclass(frozen=True)
class Adapted:
    """A method that works inside a tower: one view with all of it, and the number of trained parameters."""

    view: Cost
    trained: int


def total(*costs: Cost) -> Cost:
    """The sum of costs."""
    return sum(costs, Cost())


def linear(tokens: int, d_in: int, d_out: int, bias: bool = True) -> Cost:
    """A linear map (or a 1x1 convolution) on `tokens` vectors."""
    return Cost(tokens * d_in * d_out, d_in * d_out + (d_out if bias else 0))


def norm(dim: int) -> Cost:
    """A LayerNorm with gain and bias: parameters only."""
    return Cost(0, 2 * dim)


def table(*shape: int) -> Cost:
    """A learned table such as position embeddings: parameters only."""
    size = 1
    for n in shape:
        size *= n
    return Cost(0, size)


def products(queries: int, keys: int, dim: int) -> Cost:
    """Queries with keys and weights with values; the number of heads cancels out."""
    return Cost(2 * queries * keys * dim)


def depthwise(tokens: int, kernel: int, dim: int) -> Cost:
    """A depth-wise convolution with bias: `kernel` products for each of `tokens` vectors and each channel."""
    return Cost(tokens * kernel * dim, (kernel + 1) * dim)


def bottleneck(tokens: int, dim: int, narrow: int) -> Cost:
    """A linear map down and one up: an adapter."""
    return linear(tokens, dim, narrow) + linear(tokens, narrow, dim)


def attention(tokens: int, dim: int) -> Cost:
    """Multi-head self-attention with its four projections."""
    return total(linear(tokens, dim, dim).times(4), products(tokens, tokens, dim))


def transformer_layer(tokens: int, dim: int, ffn_ratio: float = 4) -> Cost:
    """Self-attention, a feed-forward network of width `ffn_ratio` x D, and two norms."""
    hidden = int(ffn_ratio * dim)
    ffn = linear(tokens, dim, hidden) + linear(tokens, hidden, dim)
    return total(attention(tokens, dim), ffn, norm(dim).times(2))
