"""Mixed training clips (`train.mix`): mixup and cutmix between the two clips of a pair.

mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; cutmix: Yun et al., "CutMix:
Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019. X-CLIP and ViFi-CLIP draw one
of the two for every update, mixup with Beta(0.8, 0.8) and cutmix with Beta(1, 1), and one share for all clips. Clips 2i
and 2i + 1 of a batch are a pair: the order of the clips is drawn anyway, and neighbours are in the same process.

Shapes: B clips, T frames, S side in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MIXUP, CUTMIX = 0.8, 1.0  # both parameters of the Beta distribution of the share


def partners(values_B: Tensor) -> Tensor:
    """The values (B, ...) of the other clip of each pair; B is even."""
    return values_B.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def mixed(clips_BTSS3: Tensor, rng: torch.Generator) -> tuple[Tensor, float]:
    """Each clip mixed with the other one of its pair, or with a rectangle of all frames replaced by that of the other.

    Args:
        clips_BTSS3: uint8 (B, T, S, S, 3), B even.
        rng: one number is drawn from it, on which everything else depends.

    Returns:
        The clips, uint8, and the share of the first one in each.
    """
    draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
    others = partners(clips_BTSS3)
    if draws.random() < 0.5:
        share = float(draws.beta(MIXUP, MIXUP))
        return (share * clips_BTSS3.float() + (1 - share) * others.float()).round().to(torch.uint8), share
    side = clips_BTSS3.shape[-2]
    top, bottom, left, right = _box(side, float(draws.beta(CUTMIX, CUTMIX)), draws)
    pasted = clips_BTSS3.clone()
    pasted[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / side**2


def _box(side: int, share: float, draws: np.random.Generator) -> tuple[int, int, int, int]:
    """A square with 1 - `share` of the area around a random point, cut off at the border: top, bottom, left, right."""
    half = int(side * np.sqrt(1 - share)) // 2
    y, x = draws.integers(side, size=2)
    edges = (y - half, y + half, x - half, x + half)
    top, bottom, left, right = (int(edge) for edge in np.clip(edges, 0, side))
    return top, bottom, left, right
