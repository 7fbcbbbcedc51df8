"""VideoMAE's encoder, a vision transformer over the patches of a whole clip, from this suite's own configurations.

Unlike an image tower's, its cost is not linear in the frames: every patch attends to all patches of the clip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vidprism.complexity.cost import Cost, linear, norm, products, total
from vidprism.config import nearest

OWN_MODELS = Path(__file__).resolve().parents[1] / "backbones"


@dataclass(frozen=True)
class Tower:
    """Shape of the encoder: width D, blocks, patches of a time step, patch side in pixels, frames of a time step."""

    dim: int
    layers: int
    patches: int
    patch_px: int
    tubelet: int
    mlp_ratio: float

    def steps(self, frames: int) -> int:
        """Features of a view of T frames."""
        return frames // self.tubelet

    def view(self, frames: int) -> Cost:
        """A view of T frames through the encoder. Its positions are a fixed table, and keys have no bias."""
        tokens = self.steps(frames) * self.patches
        embedding = linear(tokens, 3 * self.tubelet * self.patch_px**2, self.dim)
        return total(embedding, self.block(tokens).times(self.layers), norm(self.dim))

    def block(self, tokens: int) -> Cost:
        """Self-attention and a feed-forward network with their norms."""
        d, hidden = self.dim, int(self.mlp_ratio * self.dim)
        projections = linear(tokens, d, d).times(3) + linear(tokens, d, d, bias=False)
        ffn = linear(tokens, d, hidden) + linear(tokens, hidden, d)
        return total(projections, products(tokens, tokens, d), ffn, norm(d).times(2))


def tower(model: str) -> Tower:
    """The encoder of a model of vidprism/backbones.

    Raises:
        ValueError: there is no VideoMAE of that name.
    """
    shapes = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in OWN_MODELS.glob("*.json")}
    known = {stem: content["video_cfg"] for stem, content in shapes.items() if "video_cfg" in content}
    if model not in known:
        raise ValueError(f"no VideoMAE '{model}' in vidprism/backbones; {nearest(model, known)}")
    s = known[model]
    patches = (s["image_size"] // s["patch_size"]) ** 2
    return Tower(s["width"], s["layers"], patches, s["patch_size"], s["tubelet_size"], s["mlp_ratio"])
