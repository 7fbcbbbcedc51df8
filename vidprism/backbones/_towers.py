"""The towers of an open_clip model, step by step (see `vidprism.methods.Tower` and `TextTower`).

Letters: N pictures, L tokens, W width, H heads of width K = W / H, S pixels, C texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class ClipBlock:
    """A residual block of open_clip. `mask_LL` is added to the scores of its attention (-inf: not seen).

    `fused` takes torch's fused attention, which not every platform can run under vmap.
    """

    def __init__(self, block: Any, mask_LL: Tensor | None = None, fused: bool = True) -> None:
        self.module, self.mask_LL, self.fused = block, mask_LL, fused
        self.norm1, self.norm2 = block.ln_1, block.ln_2
        self.heads: int = block.attn.num_heads

    def attend(self, x: Tensor, context: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """See `vidprism.methods.TowerBlock`."""
        q, k, v = self.queries_keys_values(x)
        if context is not None:
            more = self.keys_values(context)
            k, v = (torch.cat([own, other], dim=-2) for own, other in zip((k, v), more, strict=True))
        return self.mix(q, k, v, bias)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `vidprism.methods.TowerBlock`."""
        q, k, v = self._maps(x, 0)
        return q, k, v

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `vidprism.methods.TowerBlock`."""
        k, v = self._maps(x, 1)
        return k, v

    def _maps(self, x: Tensor, first: int) -> list[Tensor]:
        """The maps of x from number `first` on (0 queries, 1 keys, 2 values), by heads."""
        weight, bias = (
            p[first * x.shape[-1] :] for p in (self.module.attn.in_proj_weight, self.module.attn.in_proj_bias)
        )
        parts = F.linear(x, weight, bias).chunk(3 - first, dim=-1)
        return [part.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in parts]

    def mix(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """See `vidprism.methods.TowerBlock`."""
        if self.mask_LL is not None:
            mask = self.mask_LL[: q.shape[-2], : k.shape[-2]]
            bias = mask if bias is None else bias + mask
        if self.fused:
            flat = [part.reshape(-1, *part.shape[-3:]) for part in (q, k, v)]
            added = None if bias is None else bias.to(q.dtype)
            mixed = F.scaled_dot_product_attention(flat[0], flat[1], flat[2], attn_mask=added).view(q.shape)
        else:
            scores = q @ k.mT * q.shape[-1] ** -0.5
            mixed = (scores if bias is None else scores + bias).softmax(dim=-1) @ v
        attention, joined = self.module.attn, mixed.transpose(-3, -2).flatten(-2)
        return self.module.ls_1(F.linear(joined, attention.out_proj.weight, attention.out_proj.bias))

    def feed(self, x: Tensor) -> Tensor:
        """See `vidprism.methods.TowerBlock`."""
        return self.module.ls_2(self.module.mlp(x))

    def copy(self) -> ClipBlock:
        """See `vidprism.methods.TowerBlock`."""
        return ClipBlock(deepcopy(self.module), fused=self.fused)


class ClipTower:
    """The vision transformer of an open_clip model; `normalise` maps uint8 pictures (N, S, S, 3) to (N, 3, S, S).

    Raises:
        ValueError: another kind of image tower, such as a ResNet, or one without a class token.
    """

    joint = False

    def __init__(self, visual: Any, normalise: Callable[[Tensor], Tensor]) -> None:
        if not hasattr(visual, "class_embedding") or visual.pool_type != "tok" or visual.attn_pool is not None:
            raise ValueError(
                "this method runs the blocks of the image tower itself and needs a vision transformer with a class "
                "token, such as ViT-B-16-quickgelu; choose another `model` of the backbone in params.yaml"
            )
        self.module, self._normalise = visual, normalise
        self.norm_in, self.norm_out = visual.ln_pre, visual.ln_post
        self.width: int = visual.conv1.out_channels
        self.dim: int = visual.output_dim
        self.side: int = visual.grid_size[0]
        self.patch_px: int = visual.patch_size[0]
        self.blocks = [ClipBlock(block) for block in visual.transformer.resblocks]
        self.heads = self.blocks[0].heads

    def tokens(self, pictures: Tensor, positions: Tensor | None = None) -> Tensor:
        """See `vidprism.methods.Tower`."""
        patches_NLW = self.module.conv1(self._normalise(pictures)).flatten(2).mT
        first_N1W = self.module.class_embedding.to(patches_NLW.dtype).expand(len(patches_NLW), 1, -1)
        return torch.cat([first_N1W, patches_NLW], dim=1) + (self.positions() if positions is None else positions)

    def positions(self) -> Tensor:
        """See `vidprism.methods.Tower`."""
        return self.module.positional_embedding

    def class_token(self) -> Tensor:
        """See `vidprism.methods.Tower`."""
        return self.module.class_embedding

    def project(self, x: Tensor) -> Tensor:
        """See `vidprism.methods.Tower`."""
        return x @ self.module.proj

    def run(self, step: Callable[..., Any], *values: Any) -> Any:
        """See `vidprism.methods.Tower`."""
        if self.module.transformer.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(step, *values, use_reentrant=False)
        return step(*values)


class JointTower(ClipTower):
    """The image tower of a ViCLIP: the tokens of all frames of a clip form one sequence."""

    joint = True

    def tokens(self, pictures: Tensor, positions: Tensor | None = None) -> Tensor:
        """Clips (B, T, S, S, 3) to (B, 1 + T P, W): the class token, then the patches frame by frame. See
        `vidprism.methods.Tower`.
        """
        x_BTLW = super().tokens(pictures.flatten(0, 1), positions).unflatten(0, pictures.shape[:2])
        patches_BTPW = x_BTLW[:, :, 1:] + self.module.times_TW[:, None]
        return torch.cat([x_BTLW[:, 0, :1], patches_BTPW.flatten(1, 2)], dim=1)


class ClipTextTower:
    """The text transformer of an open_clip model.

    Raises:
        ValueError: another kind of text tower.
    """

    def __init__(self, model: Any, tokenizer: Callable[[list[str]], Tensor]) -> None:
        part = model if hasattr(model, "token_embedding") else model.text
        if not hasattr(part, "text_projection") or part.text_projection is None:
            raise ValueError(
                "this method runs the text tower itself and needs one of open_clip's own, such as that of "
                "ViT-B-16-quickgelu; choose another `model` of the backbone in params.yaml"
            )
        self.module, self._tokenizer = _TextParameters(model, part), tokenizer
        self.log_scale: nn.Parameter = model.logit_scale
        self.context_length: int = part.context_length
        self.width: int = part.token_embedding.embedding_dim
        self.dim: int = part.text_projection.shape[1]
        self.blocks = [ClipBlock(block, part.attn_mask, fused=False) for block in part.transformer.resblocks]
        self.heads = self.blocks[0].heads

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        return self._tokenizer(list(texts)).to(self.module.positional_embedding.device)

    def ends(self, ids: Tensor) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        return ids.argmax(dim=-1)  # the end token has the highest number

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        return self.module.token_embedding(ids)

    def with_positions(self, x: Tensor) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        return x + self.module.positional_embedding[: x.shape[-2]]

    def read(self, x: Tensor, end: Tensor) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        at_end = x.gather(-2, end[..., None, None].expand(*end.shape, 1, x.shape[-1])).squeeze(-2)
        return self.module.ln_final(at_end) @ self.module.text_projection

    def encode(self, x: Tensor, end: Tensor) -> Tensor:
        """See `vidprism.methods.TextTower`."""
        x = self.with_positions(x)
        for block in self.blocks:
            x = x + block.attend(block.norm1(x))
            x = x + block.feed(block.norm2(x))
        return self.read(x, end)


class _TextParameters(nn.Module):
    """The parameters of a text tower under one roof: open_clip keeps those of most models beside the image tower."""

    def __init__(self, model: Any, part: Any) -> None:
        super().__init__()
        self.token_embedding, self.transformer, self.ln_final = part.token_embedding, part.transformer, part.ln_final
        self.positional_embedding, self.text_projection = part.positional_embedding, part.text_projection
        self.logit_scale = model.logit_scale
