"""Layers that several methods share. They are written in plain products, because they run under vmap.

Letters: B clips, T frames, D width, H heads of width K = D / H.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), the activation of OpenAI's CLIP; any shape."""
    return x * torch.sigmoid(1.702 * x)  # as in vidprism.model.experts, which rows of other methods must not depend on


class FrameLayer(nn.Module):
    """Pre-norm self-attention over time and a feed-forward block, each with its residual.

    Args:
        dim: D.
        heads: H, a divisor of D.
        ffn_ratio: width of the feed-forward block over D.
        activation: that of the feed-forward block.
        eps: added to the variance in both layer normalisations.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        ffn_ratio: int = 4,
        activation: Callable[[Tensor], Tensor] = F.gelu,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.heads, self.activation = heads, activation
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, ffn_ratio * dim), nn.Linear(ffn_ratio * dim, dim)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        # written out because the fused attention kernels have no vmap rule on every platform
        q_BHTK, k_BHTK, v_BHTK = self.qkv(self.norm1(x_BTD)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights_BHTT = (q_BHTK @ k_BHTK.mT * q_BHTK.shape[-1] ** -0.5).softmax(dim=-1)
        x_BTD = x_BTD + self.out((weights_BHTT @ v_BHTK).transpose(1, 2).flatten(2))
        return x_BTD + self.narrow(self.activation(self.widen(self.norm2(x_BTD))))
