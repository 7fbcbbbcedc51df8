"""Steps that methods inside the image tower share.

Letters: B clips, T frames, S pixels, P patches of a frame, L = P + 1 tokens, W width of the tower, A width of an
adapter, D width of a feature in the joint space.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods._interface import Tower, TowerBlock


def run_block(block: TowerBlock, x: Tensor) -> Tensor:
    """A block as it is, (..., L, W) to (..., L, W)."""
    x = x + block.attend(block.norm1(x))
    return x + block.feed(block.norm2(x))


def frame_tokens(tower: Tower, clips_BTSS3: Tensor) -> Tensor:
    """Tokens (B * T, L, W) of all frames before the first norm; of whole clips (B, 1 + T P, W) in a joint tower."""
    return tower.tokens(clips_BTSS3 if tower.joint else clips_BTSS3.flatten(0, 1))


def frame_features(tower: Tower, clips_BTSS3: Tensor) -> Tensor:
    """Features (B, T, D) of a tower without changes, float32, as the backbone itself makes them; (B, 1, D) of a joint
    tower.
    """
    x = tower.norm_in(frame_tokens(tower, clips_BTSS3))
    for block in tower.blocks:
        x = tower.run(partial(run_block, block), x)
    n_clips = len(clips_BTSS3)
    return tower.project(tower.norm_out(x[:, 0])).unflatten(0, (n_clips, -1)).float()


def over_time(x_BTXA: Tensor, weight_3A: Tensor, bias_A: Tensor) -> Tensor:
    """Depth-wise convolution over time with kernel 3 and zero padding, (B, T, ..., A) to the same shape."""
    edge = torch.zeros_like(x_BTXA[:, :1])
    before, after = torch.cat([edge, x_BTXA[:, :-1]], dim=1), torch.cat([x_BTXA[:, 1:], edge], dim=1)
    return before * weight_3A[0] + x_BTXA * weight_3A[1] + after * weight_3A[2] + bias_A


def dropped(x: Tensor, draws: Tensor | None, share: float) -> Tensor:
    """Dropout: x where `draws`, uniform on [0, 1), reach `share`, scaled so that the mean stays; x without draws.

    `draws` broadcast against x: one number per clip gives the drop-path of a whole residual.
    """
    return x if draws is None else x * (draws >= share) / (1 - share)


def narrow_width(width: int) -> int:
    """A of ST-Adapter and M2-CLIP: 384 as published for ViT-B/16 and L/14, and half of a tower narrower than 768."""
    return min(384, width // 2)


class Adapter(nn.Module):
    """Linear, GELU, linear with zeros, so that it begins as nothing: the adapter of AIM and DualPath."""

    def __init__(self, width: int, ratio: float = 0.25) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, int(width * ratio)), nn.Linear(int(width * ratio), width)
        for parameter in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) to (..., W)."""
        return self.up(F.gelu(self.down(x)))
