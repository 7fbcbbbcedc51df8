"""VidPrism-C as its released code computes it: the same head with the `released` reading.

This is a separate row, searched and trained like every other method. The two readings share the class and not the
recipe.
"""

from __future__ import annotations

from typing import Any

from vidprism.methods import vidprism_c
from vidprism.methods.vidprism_c import batch_terms, build

LABEL = "VidPrism-C (released reading)"
SEARCHED = "lr"
DEFAULTS: dict[str, Any] = {**vidprism_c.DEFAULTS, "reading": "released"}

__all__ = ["DEFAULTS", "LABEL", "SEARCHED", "batch_terms", "build", "resolve"]


def resolve(options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """As `vidprism_c.resolve`, from the released reading's preset.

    Raises:
        ConfigError: see there.
    """
    return vidprism_c.resolve(options, n_steps, reading="released")
