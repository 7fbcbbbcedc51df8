"""VidPrism's head (Section 3 of the paper) in both readings; one file per part of the section.

The two public names are imported on first use, so that `vidprism.model.readings` can be read without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidprism.model.vidprism import HeadOutput, VidPrismHead

__all__ = ["HeadOutput", "VidPrismHead"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vidprism.model import vidprism

        return getattr(vidprism, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
