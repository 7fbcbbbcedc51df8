"""The VidPrism head as released by the authors: `vidprism_c` with the other preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidprism.complexity import vidprism_c
from vidprism.complexity.cost import Cost


def head(
    dim: int, n_classes: int, n_steps: int, rates: Sequence[int], reading: str = "released", **switches: Any
) -> Cost:
    """See `vidprism.methods.vidprism_c_released`."""
    return vidprism_c.head(dim, n_classes, n_steps, rates, reading, **switches)
