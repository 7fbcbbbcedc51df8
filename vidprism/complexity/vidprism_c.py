"""The VidPrism head, part by part as its section defines it (Section 3, Eq. 1-15).

The count is that of the equations (in the released reading, of the released code). The suite's own modules get the same
values with fewer multiply-adds, because they fold a single query into its keys and convolve before they interpolate.
Letters: D width, T frames, N experts, W = T / rate tokens of a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from vidprism.complexity.cost import Cost, linear, norm, products, table, total, transformer_layer
from vidprism.model.readings import COVERING, resolve_switches

GATE_REDUCTION = 4  # as LEARNED_POSITIONS and SLOW_RATE: see vidprism.model
LEARNED_POSITIONS = 64
SLOW_RATE = 8


def head(dim: int, n_classes: int, n_steps: int, rates: Sequence[int], reading: str = "paper", **switches: Any) -> Cost:
    """The whole head; `switches` as in `vidprism.model.readings`. The text projection counts if its loss is on.

    Raises:
        ValueError: unknown reading or switch, or a rate that does not divide the time steps.
    """
    if any(n_steps % rate for rate in rates):
        raise ValueError(f"rates {list(rates)} must divide clips of {n_steps} time steps")
    s = resolve_switches(reading, switches)
    tokens = [n_steps // rate for rate in rates]
    parts = [aggregation(dim, n_steps, rate, s["aggregation"], reading) for rate in rates]
    parts += [interaction(dim, tokens, rates, s)]
    parts += [expert(dim, n, s["ffn_ratio"], s["pos_emb"]) for n in tokens]
    parts += [combination(dim, tokens, s["combination"]), linear(1, dim, n_classes)]
    parts += [norm(dim)] if s["readout_norm"] else []
    parts += [linear(1, dim, dim).times(2)] if s["lambda_text"] > 0 else []
    return total(*parts)


def aggregation(dim: int, n_steps: int, rate: int, kind: str, reading: str) -> Cost:
    """One stream of Eq. 1-7: metric projection, scores, similarities within windows, merging. The released code
    projects every frame twice, once for the scores and once for the similarities. The other kinds of Table 5a need no
    multiplication.
    """
    if kind != "rgsta":
        return Cost()
    projections = 2 if reading == "released" else 1
    scores = norm(dim) + linear(n_steps, dim, 1, bias=False)
    within_windows = products(n_steps, rate, dim).macs // 2 + n_steps * dim  # similarities, weighted sum
    return total(linear(n_steps, dim, dim).applied(projections), scores, Cost(within_windows))


def interaction(dim: int, tokens: Sequence[int], rates: Sequence[int], switches: dict[str, Any]) -> Cost:
    """Gates and messages of Eq. 8-11, all gates open: a 1x1 convolution of the interpolated slow stream, a strided
    convolution of the fast one. (The released module also holds N gates from a stream to itself, never used.)
    """
    links = [(i, j) for i, j in permutations(range(len(rates)), 2) if linked(rates[i], rates[j], switches)]
    if not links:
        return Cost()
    directed = len(rates) * (len(rates) - 1)
    hidden = max(dim // GATE_REDUCTION, 1)
    gate = linear(1, 2 * dim, hidden) + linear(1, hidden, 1)
    cost, seen = gate.times(directed // 2 if switches["gate_pairs"] == "pair" else directed), False
    for i, j in links:
        if rates[i] < rates[j]:
            taps = max(5, rates[j] // rates[i]) if switches["conv_kernel"] == COVERING else switches["conv_kernel"]
            cost += linear(tokens[j], taps * dim, dim, bias=False)
            continue
        message = linear(tokens[j], dim, dim)
        cost += Cost(message.macs) if switches["shared_conv"] and seen else message
        seen = True
    return cost


def linked(source_rate: int, target_rate: int, switches: dict[str, Any]) -> bool:
    """Whether a message runs from one stream to another."""
    slow, fast = max(source_rate, target_rate), min(source_rate, target_rate)
    if switches["slow_rule"] == "rate8" and not fast < SLOW_RATE <= slow:
        return False
    return switches["interaction"] in ("dbi", "slow2fast" if source_rate > target_rate else "fast2slow")


def expert(dim: int, tokens: int, ffn_ratio: int, pos_emb: str) -> Cost:
    """A transformer layer on one stream (Eq. 12-13)."""
    return transformer_layer(tokens, dim, ffn_ratio) + (
        table(LEARNED_POSITIONS, dim) if pos_emb == "learned" else Cost()
    )


def combination(dim: int, tokens: Sequence[int], kind: str) -> Cost:
    """From the experts' tokens to one vector (Eq. 14, Table 5c)."""
    n = len(tokens)
    if kind == "avg":
        return Cost()
    if kind in ("linear", "mlp"):
        return linear(1, n * dim, dim) + (linear(1, dim, dim) if kind == "mlp" else Cost())
    outputs = n if kind == "local_attn" else 1
    keys_values = linear(sum(tokens), dim, dim).times(2)
    query_out = linear(1, dim, dim) + linear(1, dim, dim).applied(outputs)
    return total(table(dim), keys_values, query_out, products(1, sum(tokens), dim))
