"""Section 3.4: the training objectives (Eq. 16-22), each a scalar, unweighted.

Shapes: B batch, C classes, D width, N experts, W windows, R frames in a window.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidprism.model.aggregation import Scores


def rank_loss(scores: Scores, target: str, temperature: float) -> Tensor:
    """Eq. 17-18: KL divergence of the predicted from the target distribution, mean over windows.

    The target is a constant: it guides ScoreHead and receives no gradient. `target` is `norm+sim` (Eq. 17) or `sim`. A
    frame's similarity to itself adds the same to every target of a window, and the softmax ignores it.
    """
    target_BWR = scores.sim_BWRR.detach().mean(-1)
    if target == "norm+sim":
        target_BWR = target_BWR + scores.norm_BWR.detach()
    log_target_BWR = (target_BWR / temperature).log_softmax(-1)
    log_pred_BWR = (scores.pred_BWR / temperature).log_softmax(-1)
    return (log_target_BWR.exp() * (log_target_BWR - log_pred_BWR)).sum(-1).mean()


def gate_loss(usage_BN: Tensor) -> Tensor:
    """Eq. 20-21 of the usage (B, N): 1 for equal usage of the experts, N if a single expert does all the work."""
    return usage_BN.shape[1] * usage_BN.mean(0).square().sum()


def expert_cos2(means_BND: Tensor) -> Tensor:
    """Eq. 19 with D = squared cosine: mean over pairs of experts and the batch, 0 for a single expert."""
    return _expert_cosines(means_BND).square().mean()


def expert_cos(means_BND: Tensor) -> Tensor:
    """Eq. 19 with D = cosine: as `expert_cos2`, but opposite outputs are rewarded."""
    return _expert_cosines(means_BND).mean()


def sample_1mcos(means_BND: Tensor) -> Tensor:
    """The released code's form of Eq. 19: 1 - cos over pairs of *videos*, mean over pairs and experts.

    Minimising it pulls the videos of a batch together. A batch of one has no pair: 0, without gradient.
    """
    B = means_BND.shape[0]
    if B < 2:
        return means_BND.new_zeros(())
    unit_NBD = F.normalize(means_BND, dim=-1).transpose(0, 1)
    cos_NBB = unit_NBD @ unit_NBD.transpose(1, 2)
    off_diagonal_BB = 1 - torch.eye(B, dtype=cos_NBB.dtype, device=cos_NBB.device)
    return 1 - (cos_NBB * off_diagonal_BB).sum((1, 2)).mean() / (B * (B - 1))


def _expert_cosines(means_BND: Tensor) -> Tensor:
    """Cosines (B, pairs) between the outputs of different experts; zeros (B, 1) for a single expert."""
    N = means_BND.shape[1]
    if N < 2:
        return torch.zeros_like(means_BND[:, :, 0])
    unit = F.normalize(means_BND, dim=-1).unbind(1)
    return torch.stack([(unit[i] * unit[j]).sum(-1) for i, j in combinations(range(N), 2)], dim=1)


DIVERSITY: dict[str, Callable[[Tensor], Tensor]] = {
    "expert_cos2": expert_cos2,
    "expert_cos": expert_cos,
    "sample_1mcos": sample_1mcos,
}


def text_loss(projected_BD: Tensor, text_features_CD: Tensor, labels_B: Tensor) -> Tensor:
    """A fifth loss, found only in the released code: cross-entropy over the cosines to the class texts."""
    cos_BC = F.normalize(projected_BD, dim=-1) @ F.normalize(text_features_CD, dim=-1).T
    return F.cross_entropy(cos_BC, labels_B)
