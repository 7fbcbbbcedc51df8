"""VidPrism-M in the released reading: `vidprism_m` with the other preset. There is no text loss, because VideoMAE has
no text tower.

Like `vidprism_c_released`, this is a separate row.
"""

from __future__ import annotations

from typing import Any

from vidprism.methods import vidprism_c
from vidprism.methods.vidprism_c import batch_terms, build

LABEL = "VidPrism-M (released reading)"
SEARCHED = "lr"
DEFAULTS: dict[str, Any] = {**vidprism_c.DEFAULTS, "reading": "released"}

__all__ = ["DEFAULTS", "LABEL", "SEARCHED", "batch_terms", "build", "resolve"]


def resolve(options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """As `vidprism_m.resolve`, from the released reading's preset."""
    return vidprism_c.resolve(options, n_steps, reading="released", has_text=False)
