"""Section 3.1: frame features become a shorter stream (Eq. 1-7, and the alternatives of Table 5a).

Shapes: B batch, T frames, D width, R rate = frames in a window, W = T / R windows = tokens of the stream.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidprism.model.readings import PER_WINDOW

# The released code adds this to the sum of the weights before the division. It is more than a guard against zero:
# where frames differ much from each other, the weights themselves are of this size.
RENORM_EPS = 1e-6


class Scores(NamedTuple):
    """Inputs of the ranking loss for each window: predicted scores, feature norms, cosine similarities."""

    pred_BWR: Tensor
    norm_BWR: Tensor
    sim_BWRR: Tensor


class RgSTA(nn.Module):
    """Rate-guided spatio-temporal aggregation: keep the best frame of a window, merge the rest (Eq. 1-7).

    Args:
        dim: width D.
        rate: frames in a window, R.
        softmax_axis: the frames over which Eq. 6 is normalised. `rest`: the merged frames; `kept`: the
            single kept frame, so that every weight is 1; `window`, as released: all frames of a window (with
            a frame's similarity to itself set to 0), after which the kept column is divided by itself plus
            1e-6.
        delta: scale of Eq. 7, a number or `1/(r-1)`.
        alpha: share of the predicted score in Eq. 2.
        tau: temperature of Eq. 6.
        score_norm: `raw` mixes the two scores of Eq. 2 as they are, `zscore` standardises each in its window
            first.
        straight_through: let the choice of the kept frame pass the gradient of a softmax over the scores.
    """

    def __init__(
        self,
        dim: int,
        rate: int,
        *,
        softmax_axis: str,
        delta: float | str,
        alpha: float,
        tau: float,
        score_norm: str,
        straight_through: bool,
    ) -> None:
        super().__init__()
        self.rate, self.softmax_axis, self.alpha, self.tau = rate, softmax_axis, alpha, tau
        self.delta = 1 / max(rate - 1, 1) if delta == PER_WINDOW else float(delta)
        self.score_norm, self.straight_through = score_norm, straight_through
        self.metric_proj = nn.Linear(dim, dim)
        self.score_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1, bias=False))

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Scores]:
        """(B, T, D) -> the stream (B, W, D) and the scores of its windows."""
        x_BWRD = x_BTD.unflatten(1, (-1, self.rate))
        metric_BWRD = self.metric_proj(x_BWRD)
        scores = Scores(self._predict(metric_BWRD), x_BWRD.norm(dim=-1), cosine(metric_BWRD))
        mix_BWR = self._mix(scores)
        frames_R = torch.arange(self.rate, device=x_BTD.device)
        kept_BWR = (mix_BWR.argmax(-1, keepdim=True) == frames_R).to(x_BTD.dtype)
        weight_BWR = self.delta * (1 - kept_BWR) * self._attention(scores.sim_BWRR, kept_BWR)
        if self.straight_through:
            soft_BWR = mix_BWR.softmax(-1)
            kept_BWR = kept_BWR + soft_BWR - soft_BWR.detach()
        return ((kept_BWR + weight_BWR).unsqueeze(-1) * x_BWRD).sum(2), scores  # Eq. 7

    def _predict(self, metric_BWRD: Tensor) -> Tensor:
        """Eq. 1: (B, W, R, D) -> (B, W, R), with LayerNorm's gain and bias folded into the linear map."""
        norm: Any
        linear: Any
        norm, linear = self.score_head
        weight_D = linear.weight.squeeze(0)
        normed_BWRD = F.layer_norm(metric_BWRD, metric_BWRD.shape[-1:], eps=norm.eps)
        # a product and a sum: four times as fast under vmap as a matrix product with one column
        return (normed_BWRD * (weight_D * norm.weight)).sum(-1) + (weight_D * norm.bias).sum()

    def _mix(self, scores: Scores) -> Tensor:
        """Eq. 2. The choice made from these scores has no gradient unless it is passed straight through."""
        pred_BWR, norm_BWR = scores.pred_BWR, scores.norm_BWR
        if self.score_norm == "zscore":
            pred_BWR, norm_BWR = _standardise(pred_BWR), _standardise(norm_BWR)
        return self.alpha * pred_BWR + (1 - self.alpha) * norm_BWR

    def _attention(self, sim_BWRR: Tensor, kept_BWR: Tensor) -> Tensor:
        """Eq. 6: the weight (B, W, R) with which a frame is merged; the kept frame's own is unused."""
        if self.softmax_axis == "kept":
            return torch.ones_like(kept_BWR)
        if self.softmax_axis == "rest":
            to_kept_BWR = (sim_BWRR * kept_BWR.unsqueeze(-2)).sum(-1) / self.tau
            return to_kept_BWR.masked_fill(kept_BWR.bool(), torch.finfo(sim_BWRR.dtype).min).softmax(-1)
        others_RR = 1 - torch.eye(self.rate, dtype=sim_BWRR.dtype, device=sim_BWRR.device)
        over_window_BWRR = (sim_BWRR * others_RR / self.tau).softmax(-1)
        to_kept_BWR = (over_window_BWRR * kept_BWR.unsqueeze(-2)).sum(-1)
        return to_kept_BWR / (to_kept_BWR + RENORM_EPS)


class Pooling(nn.Module):
    """The alternatives of Table 5a, without parameters: `hard` takes every R-th frame ("samples frame
    features at a fixed rate"), `avg` and `max` pool each window.
    """

    def __init__(self, rate: int, kind: str) -> None:
        super().__init__()
        self.rate = rate
        self.pool = {"hard": lambda x: x[:, :, 0], "avg": lambda x: x.mean(2), "max": lambda x: x.amax(2)}[kind]

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, None]:
        """(B, T, D) -> the stream (B, W, D). There are no scores to rank."""
        return self.pool(x_BTD.unflatten(1, (-1, self.rate))), None


def cosine(x_RD: Tensor) -> Tensor:
    """Cosines (..., R, R) of the vectors (..., R, D). The small Gram matrix is divided by the norms."""
    norm_R = x_RD.norm(dim=-1).clamp_min(1e-12)
    return x_RD @ x_RD.transpose(-1, -2) / (norm_R.unsqueeze(-1) * norm_R.unsqueeze(-2))


def _standardise(score_BWR: Tensor) -> Tensor:
    """Zero mean and unit variance in each window (a constant window becomes zeros)."""
    centred_BWR = score_BWR - score_BWR.mean(-1, keepdim=True)
    return centred_BWR * (centred_BWR.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
