"""What a method is given (`Task`, and through it the towers of an image-text model) and what it returns (`Output`).

Letters: B clips, T frames, S pixels, N pictures, L tokens of a picture (the class token first) or of a text, W width of
a tower, H heads, D width of a feature in the joint space, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn


class TowerBlock(Protocol):
    """One pre-norm block of a tower: x + attend(norm1(x)), then x + feed(norm2(x))."""

    norm1: nn.Module
    norm2: nn.Module
    module: nn.Module

    def attend(self, x: Tensor, context: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Multi-head attention of the block over any sequences.

        Args:
            x: (..., L, W), the queries; keys and values are those of x, followed by those of `context` (..., M, W).
            bias: added to the scores of all keys; broadcasts to (..., H, L, L + M).

        Returns:
            (..., L, W)
        """

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., L, W) to three tensors (..., H, L, K) of the heads' width K = W / H."""

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last two of `queries_keys_values` alone."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """The second half of `attend`: queries (..., H, L, K), keys and values (..., H, M, K) to (..., L, W)."""

    def feed(self, x: Tensor) -> Tensor:
        """The MLP of the block, (..., W) to (..., W)."""

    def copy(self) -> TowerBlock:
        """A block of its own that starts with the same weights and sees all tokens; its parameters are those of its
        `module`.
        """


class Tower(Protocol):
    """The image tower, step by step, on the backbone's own parameters: nothing is copied.

    Attributes:
        width: W. heads: H. dim: D. side: patches along one side of a picture. patch_px: side of a patch in pixels.
        blocks: in order.
        joint: whether all patches of a clip form one sequence (ViCLIP); then `tokens` takes clips (B, T, S, S, 3) to
            (B, 1 + T P, W), and a method must say that it can work so (`ON_JOINT`).
        norm_in: the norm before the first block. norm_out: the one after the last, which the model applies to class
            tokens (..., W).
        module: owns the parameters.
    """

    width: int
    heads: int
    dim: int
    side: int
    patch_px: int
    joint: bool
    norm_in: nn.Module
    norm_out: nn.Module
    blocks: Sequence[TowerBlock]
    module: nn.Module

    def tokens(self, pictures: Tensor, positions: Tensor | None = None) -> Tensor:
        """Pictures (N, S, S, 3) with values 0 to 255 to patches, class token first, with positions (N, L, W); before
        the first norm. Other `positions` than the tower's broadcast to (N, L, W).
        """

    def positions(self) -> Tensor:
        """The positions (L, W) that `tokens` adds, that of the class token first."""

    def class_token(self) -> Tensor:
        """The class token (W,) without its position."""

    def project(self, x: Tensor) -> Tensor:
        """(..., W) to the joint space (..., D)."""

    def run(self, step: Callable[..., Any], *values: Any) -> Any:
        """`step(*values)`; with `train.grad_checkpointing`, its activations are recomputed in the backward pass."""


class TextTower(Protocol):
    """The text tower, step by step, on the backbone's own parameters. It is written in plain products, so that it runs
    under vmap.

    Attributes:
        width: W. heads: H. dim: D. context_length: most tokens of a text.
        blocks: in order; their attention looks back only.
        log_scale: logarithm of the factor on cosines ().
        module: owns the parameters, `log_scale` among them.
    """

    width: int
    heads: int
    dim: int
    context_length: int
    blocks: Sequence[TowerBlock]
    log_scale: nn.Parameter
    module: nn.Module

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """C texts to token ids (C, L), with start and end token, filled up to the context length."""

    def ends(self, ids: Tensor) -> Tensor:
        """Positions (...) of the end tokens of ids (..., L)."""

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Ids (..., L) to embeddings (..., L, W), without positions."""

    def with_positions(self, x: Tensor) -> Tensor:
        """Add positions to embeddings (..., L, W)."""

    def read(self, x: Tensor, end: Tensor) -> Tensor:
        """Tokens after the last block (C, L, W) to features (C, D) of their end tokens (C,), not normalised."""

    def encode(self, x: Tensor, end: Tensor) -> Tensor:
        """Embeddings (C, L, W) to features (C, D): positions, all blocks, `read`."""


@dataclass(frozen=True)
class Task:
    """The task that a method is built for.

    `dim` is the width D of a feature and `n_steps` the number T of features in a clip (its frames, or its time steps if
    the encoder sees several frames at once). `text_features_CD` holds the L2-normalised class texts, or None, and
    `logit_scale` the factor that the image-text model applies to cosines. `class_texts` are the classes in words, and
    `templates` the sentences of the method's `PROMPT_SET`, in which "{}" stands for them. `described` holds the
    sentences of each kind about each class that the method asks for (`descriptions`). `tower` is the image tower of
    this repeat and `text` its text tower, for methods that ask for them (`USES`, `SEES`); on cached features there is
    no `tower`, and `text` is frozen.
    """

    dim: int
    n_classes: int
    n_steps: int
    text_features_CD: Tensor | None = None
    logit_scale: float = 1.0
    class_texts: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    described: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    tower: Tower | None = None
    text: TextTower | None = None


@dataclass
class Output:
    """The result of a method's forward pass, with the attributes of the VidPrism head's output.

    `logits` (B, C), or (B, 0) in training where the objective compares clips with each other's texts; `fused` (B, F),
    the clip feature that is classified, where F is D, the width W of a tower or, for a regression, the width of its
    summary; `expert_weights` is None without experts. `kept` holds what the objective needs beside the logits.
    """

    logits: Tensor
    fused: Tensor
    expert_weights: Tensor | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
