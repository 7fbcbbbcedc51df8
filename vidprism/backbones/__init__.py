"""Encoders of frames or clips, one module per kind, found by file name: ``vidprism/backbones/<key>.py`` with
``build(spec, device)`` and ``visual(model)``, which gives the visual side on torch's meta device and its width D.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vidprism.config import BackboneConfig, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn


# Mean and standard deviation of RGB values in [0, 1] that `normalisation` in params.yaml may select for a backbone.
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class Backbone(Protocol):
    """The interface of an encoder.

    Attributes:
        dim: D, width of a feature.
        image_size: S, side of the square frames it takes, in pixels.
        tubelet: frames that become one time step. With 1 the encoder sees every frame separately, so that a frame
            shared by several clips is encoded once; with more it sees whole clips.
        has_text: whether it has a text tower in a joint space with the frames.
        logit_scale: factor on cosine similarities that makes them logits (1 without text).
        module: the visual side, whose parameters the tuned track trains.
    """

    dim: int
    image_size: int
    tubelet: int
    has_text: bool
    logit_scale: float
    module: nn.Module

    def encode_clips(self, clips: Tensor) -> Tensor:
        """(B, T, S, S, 3) uint8 to (B, T / tubelet, D) float32, not normalised; gradients flow if they are enabled."""

    def encode_text(self, texts: list[str]) -> Tensor:
        """C texts to (C, D) float32, L2-normalised. Raises ConfigError without a text tower."""

    def tower(self) -> Any:
        """The image tower step by step (`vidprism.methods.Tower`), on the parameters of `module`.

        Raises:
            ConfigError: the encoder has none that a method could run step by step.
        """

    def text_tower(self) -> Any:
        """The text tower step by step (`vidprism.methods.TextTower`). Raises ConfigError without one."""

    def blocks(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Named parts of `module` from the pixels to the embedding. Each parameter belongs to exactly one part."""

    def set_grad_checkpointing(self) -> None:
        """From now on, recompute the activations inside the blocks in the backward pass instead of storing them."""


def available() -> tuple[str, ...]:
    """The keys that params.yaml may name."""
    return tuple(sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_")))


def load_backbone(spec: BackboneConfig, device: str = "cpu") -> Backbone:
    """Build a backbone with its weights.

    Raises:
        ValueError: unknown key, model or weights tag; a checkpoint of another shape.
        FileNotFoundError: `spec.weights` is a path and nothing is there.
    """
    if spec.key not in available():
        raise ValueError(f"no backbone kind '{spec.key}' in vidprism/backbones; {nearest(spec.key, available())}")
    return import_module(f"{__name__}.{spec.key}").build(spec, device)
