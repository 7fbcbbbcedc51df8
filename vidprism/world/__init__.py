"""The generated benchmark: real encoded videos of a small world whose truth is known (docs/world.md)."""

from vidprism.world.classes import DATASETS
from vidprism.world.generate import fingerprint, generate, tiny

__all__ = ["DATASETS", "fingerprint", "generate", "tiny"]
