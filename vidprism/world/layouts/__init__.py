"""Official file layouts, one module per dataset, found by file name.

Each module has ``CONTAINER``, ``EXTRA_PER_CLASS`` (videos beside the labelled ones), ``paths(clips, seed)``
(relative to ``videos/``, in the order of the clips) and ``write_annotations(folder, videos)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from vidprism.world.plan import Clip


@dataclass(frozen=True)
class Video:
    """A clip, where it lies under ``videos/``, and its object in words ("a red star")."""

    clip: Clip
    path: str
    subject: str


def load(dataset: str) -> ModuleType:
    """The layout module of a dataset of the world."""
    return import_module(f"{__name__}.{dataset}")
