"""The VidPrism head on the time steps of a VideoMAE encoder: `vidprism_c` over them."""

from __future__ import annotations

from vidprism.complexity.vidprism_c import head

__all__ = ["head"]
