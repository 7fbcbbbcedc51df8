"""The image tower of CLIP, a vision transformer, from the model configuration of open_clip (read as JSON, without
torch).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vidprism.complexity.cost import Cost, linear, norm, products, table, total, transformer_layer
from vidprism.config import nearest

OWN_MODELS = Path(__file__).resolve().parents[1] / "backbones"


@dataclass(frozen=True)
class Text:
    """Shape of a text tower: width, blocks, words of the vocabulary, most tokens of a text, output width D."""

    width: int
    layers: int
    vocabulary: int
    context: int
    dim: int

    @property
    def parameters(self) -> int:
        """All of it, with the factor on cosines."""
        tables = table(self.vocabulary, self.width) + table(self.context, self.width)
        blocks = transformer_layer(1, self.width).times(self.layers)
        return total(tables, blocks, norm(self.width), linear(1, self.width, self.dim, bias=False)).parameters + 1


@dataclass(frozen=True)
class Tower:
    """Shape of a vision transformer: width, number of blocks, patches per frame (without the class token), patch side
    in pixels, output width D, the ratio of the MLP's hidden width to the width, the text tower beside it, and the width
    of an attention head.
    """

    width: int
    layers: int
    patches: int
    patch_px: int
    dim: int
    mlp_ratio: float = 4.0
    text: Text | None = None
    head_width: int = 64

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return self.patches + 1

    @property
    def patch_embedding(self) -> Cost:
        """The convolution that makes tokens of a frame's patches."""
        return linear(self.patches, 3 * self.patch_px**2, self.width, bias=False)

    @property
    def projection(self) -> Cost:
        """The class token's map to the joint space."""
        return linear(1, self.width, self.dim, bias=False)

    @property
    def frame(self) -> Cost:
        """One frame through the tower. ViT-B/16 at 224 px: 17.563e9 multiply-adds."""
        blocks = transformer_layer(self.tokens, self.width, self.mlp_ratio).times(self.layers)
        embeddings = table(self.width) + table(self.tokens, self.width)
        return total(self.patch_embedding, embeddings, norm(self.width).times(2), blocks, self.projection)

    def view(self, frames: int) -> Cost:
        """A view of T frames: each frame separately, with the same weights."""
        return self.frame.applied(frames)

    def steps(self, frames: int) -> int:
        """Features of a view."""
        return frames

    @property
    def norm_out(self) -> Cost:
        """The norm after the last block."""
        return norm(self.width)

    def block(self, tokens: int) -> Cost:
        """A block that sees `tokens` tokens."""
        return transformer_layer(tokens, self.width, self.mlp_ratio)

    @property
    def frame_macs_without_attention(self) -> int:
        """The count of a tool that misses attention modules, including their projections: MLPs, patch embedding and
        output projection. Several published numbers are of this kind.
        """
        attention = products(self.tokens, self.tokens, self.width).macs + 4 * self.tokens * self.width**2
        return self.frame.macs - self.layers * attention


def tower(model: str) -> Tower:
    """The tower of a model of vidprism/backbones or of open_clip.

    Raises:
        ValueError: no such configuration, or one that is not a vision transformer.
    """
    known = _configurations()
    if model not in known:
        raise ValueError(f"no model '{model}' in vidprism/backbones or open_clip; {nearest(model, known)}")
    content = json.loads(known[model].read_text(encoding="utf-8"))
    vision = content.get("vision_cfg", {})
    if not {"patch_size", "width", "layers"} <= set(vision) or not isinstance(vision["layers"], int):
        raise ValueError(f"'{model}' has no vision transformer of open_clip's own; its cost is not modelled")
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    return Tower(
        vision["width"],
        vision["layers"],
        patches,
        vision["patch_size"],
        content["embed_dim"],
        vision.get("mlp_ratio", 4.0),
        _text(content),
        vision.get("head_width", 64),
    )


def _text(content: dict[str, Any]) -> Text | None:
    """The text tower of a configuration, if it is one of open_clip's own."""
    cfg = content.get("text_cfg", {})
    if not {"width", "layers", "vocab_size", "context_length"} <= set(cfg):
        return None
    return Text(cfg["width"], cfg["layers"], cfg["vocab_size"], cfg["context_length"], content["embed_dim"])


def _configurations() -> dict[str, Path]:
    spec = find_spec("open_clip")
    folders = [Path(spec.origin).parent / "model_configs"] if spec and spec.origin else []
    return {path.stem: path for folder in [*folders, OWN_MODELS] for path in folder.glob("*.json")}
