"""The image tower of ViCLIP: CLIP's, over the patches of all frames at once."""

from __future__ import annotations

from dataclasses import fields

from vidprism.complexity import clip
from vidprism.complexity.cost import Cost, linear, norm, table, total, transformer_layer

FRAMES = 8  # of a clip, each with a position of its own


class AllFrames(clip.Tower):
    """A CLIP tower whose blocks see 1 + T P tokens. Not linear in the frames."""

    def view(self, frames: int) -> Cost:
        """A view of T frames: one sequence, one class token, one output."""
        blocks = transformer_layer(1 + frames * self.patches, self.width, self.mlp_ratio).times(self.layers)
        tables = total(table(self.width), table(self.tokens, self.width), table(FRAMES, self.width))
        embedding = linear(frames * self.patches, 3 * self.patch_px**2, self.width, bias=False)
        return total(embedding, tables, norm(self.width).times(2), blocks, self.projection)

    def steps(self, frames: int) -> int:
        """Features of a view."""
        return frames // FRAMES


def tower(model: str) -> AllFrames:
    """The tower of a CLIP model of vidprism/backbones or of open_clip, joined over time.

    Raises:
        ValueError: see `vidprism.complexity.clip.tower`.
    """
    plain = clip.tower(model)
    return AllFrames(**{field.name: getattr(plain, field.name) for field in fields(plain)})
