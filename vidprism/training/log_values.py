"""The values of an update that go to the log (`vidprism.records.log`): the terms of the objective, the number of
correct clips in the batch, and the shares of the experts. Collecting them costs nothing; only converting them to
numbers does. Shapes: R repeats, B batch, C classes, E experts; (R) is absent if one repeat trains at a time.
"""

from __future__ import annotations

from typing import Any

import psutil
import torch
from torch import Tensor

from vidprism.training import speed

Seen = dict[str, Tensor]
LOGITS, EXPERTS = "logits", "experts"  # keys beside the terms, which are named "loss/<term>"


def see(output: Any, terms: dict[str, Tensor]) -> Seen:
    """The terms () of an objective, "loss/total" among them, the logits (B, C) and the experts'
    weights (B, E). Runs under ``torch.func.vmap``.
    """
    seen = {f"loss/{name}": term for name, term in terms.items()}
    if output.logits.shape[-1]:
        seen[LOGITS] = output.logits
    if output.expert_weights is not None:
        seen[EXPERTS] = output.expert_weights
    return seen


def as_numbers(seen: Seen, labels: Tensor) -> dict[str, float]:
    """Numbers of an update, means over repeats: the terms, "accuracy" of the batch in percent, the share of each expert
    as "experts/expert_<number>" (from 1), and "memory_mib" of this process, or of its GPU.

    Args:
        seen: what `see` gave, with a first dimension (R) or without.
        labels: (R, B) or (B,).
    """
    with torch.no_grad():
        found = {name: term.detach().float().mean() for name, term in seen.items() if name.startswith("loss/")}
        if LOGITS in seen:
            found["accuracy"] = 100 * (seen[LOGITS].argmax(dim=-1) == labels).float().mean()
        if EXPERTS in seen:
            shares_E = seen[EXPERTS].detach().float().flatten(0, -2).mean(dim=0)
            found |= {f"experts/expert_{i}": share for i, share in enumerate(shares_E, 1)}
        numbers = torch.stack(list(found.values())).tolist()  # one transfer for all values
    return {**dict(zip(found, numbers, strict=True)), "memory_mib": memory_mib()}


def memory_mib() -> int:
    """Peak memory of tensors on the GPU or, without a GPU, the memory of this process, in MiB."""
    peak = speed.peak_mib()
    return psutil.Process().memory_info().rss // 2**20 if peak is None else peak
