"""MAXI: the towers of ViFi-CLIP."""

from __future__ import annotations

from vidprism.complexity.vifi_clip import clips

__all__ = ["clips"]
