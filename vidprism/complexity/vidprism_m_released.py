"""The released head on the time steps of a VideoMAE encoder, without a text loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidprism.complexity import vidprism_c
from vidprism.complexity.cost import Cost


def head(
    dim: int, n_classes: int, n_steps: int, rates: Sequence[int], reading: str = "released", **switches: Any
) -> Cost:
    """See `vidprism.methods.vidprism_m_released`; without a text loss unless `switches` has one."""
    return vidprism_c.head(dim, n_classes, n_steps, rates, reading, **{"lambda_text": 0.0, **switches})
