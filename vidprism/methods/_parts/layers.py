"""Layers that several methods share. They are written in plain products, because they run under vmap.

Letters: B clips, T frames, D width, H heads of width K = D / H.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITIONS = 77  # the length of CLIP's context, whose table ActionCLIP, Text4Vis and MoTE took over
HEAD_WIDTH = 64


def n_heads(dim: int) -> int:
    """Heads of a layer of width `dim`: as many of width 64 as fit, and at least one."""
    return max(1, dim // HEAD_WIDTH)


def start_small(module: nn.Module, std: float = 0.02) -> None:
    """Matrices and tables N(0, std), biases 0; norms stay as they are."""
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2].startswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.ndim >= 2:
            nn.init.normal_(parameter, std=std)


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), the activation of OpenAI's CLIP; any shape."""
    return x * torch.sigmoid(1.702 * x)  # as in vidprism.model.experts, which rows of other methods must not depend on


class FrameAttention(nn.Module):
    """Pre-norm self-attention over time with its residual; arguments as those of `FrameLayer`."""

    def __init__(self, dim: int, heads: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(dim, eps), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def attended(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        # written out because the fused attention kernels have no vmap rule on every platform
        q_BHTK, k_BHTK, v_BHTK = self.qkv(self.norm1(x_BTD)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights_BHTT = (q_BHTK @ k_BHTK.mT * q_BHTK.shape[-1] ** -0.5).softmax(dim=-1)
        return x_BTD + self.out((weights_BHTT @ v_BHTK).transpose(1, 2).flatten(2))


class FrameLayer(FrameAttention):
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
        super().__init__(dim, heads, eps)
        self.activation, self.norm2 = activation, nn.LayerNorm(dim, eps)
        self.widen, self.narrow = nn.Linear(dim, ffn_ratio * dim), nn.Linear(ffn_ratio * dim, dim)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x_BTD = self.attended(x_BTD)
        return x_BTD + self.narrow(self.activation(self.widen(self.norm2(x_BTD))))


class FrameTransformer(nn.Module):
    """Learned positions and `n_layers` of `FrameLayer` with QuickGELU: the temporal transformer of ActionCLIP, Text4Vis
    and MoTE. Matrices N(0, 0.02), biases 0.
    """

    def __init__(self, dim: int, heads: int, n_layers: int) -> None:
        super().__init__()
        self.positions_PD = nn.Parameter(torch.empty(POSITIONS, dim))
        self.layers = nn.ModuleList(FrameLayer(dim, heads, activation=quick_gelu, eps=1e-12) for _ in range(n_layers))
        start_small(self)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), without a residual around the whole."""
        x_BTD = x_BTD + self.positions_PD[: x_BTD.shape[1]]
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return x_BTD
