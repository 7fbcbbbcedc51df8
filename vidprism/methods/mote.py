"""MoTE: layers over the frames whose feed-forward parts are four experts, drawn in training and merged at test.

Source: Zhu et al., "MoTE: Reconciling Generalization with Specialization for Visual-Language to Video Knowledge
Transfer", NeurIPS 2024, Section 3, and the settings of github.com/ZMHH-H/MoTE (Apache-2.0): every update runs the
layers twice, once with one expert drawn for each layer (later experts more often), once with the experts' weights
merged at a drawn temperature; CE + 0.5 CE of the merged pass + 0.1 of its squared distance from the frame features. At
test the weights are merged evenly. On the tuned track the image tower trains at 0.07 of the rate and ends as 0.99 of
itself and 0.01 of its start. The published modulation of the temporal part is 1 where the classes of training and test
are the same, as in every cell here, and is left out. Four layers for B/16, six for L/14. That the scale trains like the
tower is a choice of this suite.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import POSITIONS, FrameAttention, n_heads, quick_gelu, start_small
from vidprism.methods._parts.texts import cosines

LABEL = "MoTE"
SEARCHED = "lr"
IS_PEER = True
USES = ("tower",)
DEFAULTS = {"layers": 4, "experts": 4, "tuned_share": 0.99, "lambda_merged": 0.5, "lambda_mse": 0.1}

TOWER_RATE = 0.07  # over the rate of the layers
TEMPERATURES = (-9.6, -4.8, -2.4, -1.2, -0.6, 0.6, 1.2, 2.4, 4.8, 9.6, math.inf)


class ExpertLayer(FrameAttention):
    """Pre-norm attention over time, and a feed-forward block whose weights are a mixture of E experts' weights.

    Letters: E experts, F width of the feed-forward block.
    """

    def __init__(self, dim: int, heads: int, experts: int) -> None:
        super().__init__(dim, heads, eps=1e-12)
        self.norm2 = nn.LayerNorm(dim, 1e-12)
        self.widen_EDF = nn.Parameter(torch.empty(experts, dim, 4 * dim))
        self.narrow_EFD = nn.Parameter(torch.empty(experts, 4 * dim, dim))
        self.bias_EF = nn.Parameter(torch.empty(experts, 4 * dim))
        self.bias_ED = nn.Parameter(torch.empty(experts, dim))

    def forward(self, x_BTD: Tensor, share_E: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D) with the experts' weights mixed by `share_E`; one-hot shares choose one expert."""
        x_BTD = self.attended(x_BTD)
        weights = (self.widen_EDF, self.bias_EF, self.narrow_EFD, self.bias_ED)
        widen_DF, bias_F, narrow_FD, bias_D = (
            (share_E.view(-1, *[1] * (part.ndim - 1)) * part).sum(dim=0) for part in weights
        )
        return x_BTD + quick_gelu(self.norm2(x_BTD) @ widen_DF + bias_F) @ narrow_FD + bias_D


class MoTE(nn.Module):
    """Positions, layers of experts, a residual to the input, the mean over time, scaled cosine to the frozen texts."""

    text_CD: Tensor

    def __init__(
        self,
        task: Task,
        text_features_CD: Tensor,
        layers: int,
        experts: int,
        tuned_share: float,
        lambda_merged: float,
        lambda_mse: float,
    ) -> None:
        super().__init__()
        self.register_buffer("text_CD", F.normalize(text_features_CD.float(), dim=-1))
        self.experts, self.tuned_share = experts, tuned_share
        self.lambda_merged, self.lambda_mse = lambda_merged, lambda_mse
        self.log_scale_at_start = math.log(task.logit_scale)
        self.scale_shift = nn.Parameter(torch.zeros(()))
        self.positions_PD = nn.Parameter(torch.empty(POSITIONS, task.dim))
        self.layers = nn.ModuleList(ExpertLayer(task.dim, n_heads(task.dim), experts) for _ in range(layers))
        start_small(self)
        self.tower = task.tower
        kept = [] if task.tower is None else task.tower.module.parameters()
        self.at_start = [parameter.detach().clone() for parameter in kept]

    def draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The shares of the experts in each layer N, for both passes: one-hot, and of a drawn temperature (N, E)."""
        order_E, n_layers = torch.arange(1.0, self.experts + 1), len(self.layers)
        drawn_N = torch.multinomial(order_E.softmax(0), n_layers, replacement=True, generator=rng)
        tau_N1 = torch.tensor(TEMPERATURES)[torch.randint(len(TEMPERATURES), (n_layers, 1), generator=rng)]
        return {
            "drawn_NE": F.one_hot(drawn_N, self.experts).float(),
            "merged_NE": (order_E / tau_N1).softmax(dim=1),
        }

    def forward(self, features_BTD: Tensor, draws: dict[str, Tensor] | None = None) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        if draws is None:
            even_NE = features_BTD.new_full((len(self.layers), self.experts), 1 / self.experts)
            frames_BTD = self._frames(features_BTD, even_NE)
            return Output(self._logits(frames_BTD), frames_BTD.mean(dim=1))
        drawn_BTD = self._frames(features_BTD, draws["drawn_NE"])
        merged_BTD = self._frames(features_BTD, draws["merged_NE"])
        mse = F.mse_loss(merged_BTD, features_BTD)
        kept = {"merged": self._logits(merged_BTD), "mse": mse}
        return Output(self._logits(drawn_BTD), drawn_BTD.mean(dim=1), kept=kept)

    def _frames(self, features_BTD: Tensor, shares_NE: Tensor) -> Tensor:
        x_BTD = features_BTD + self.positions_PD[: features_BTD.shape[1]]
        for layer, share_E in zip(self.layers, shares_NE, strict=True):
            x_BTD = layer(x_BTD, share_E)
        return x_BTD + features_BTD

    def _logits(self, frames_BTD: Tensor) -> Tensor:
        scale = torch.exp(self.log_scale_at_start + TOWER_RATE * self.scale_shift)
        return scale * cosines(frames_BTD.mean(dim=1), self.text_CD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of both passes, and the squared distance of the merged one from the frame features."""
        terms = {"cls": F.cross_entropy(output.logits, labels_B)}
        if not output.kept:
            return {**terms, "total": terms["cls"]}
        terms |= {"merged": F.cross_entropy(output.kept["merged"], labels_B), "mse": output.kept["mse"]}
        total = terms["cls"] + self.lambda_merged * terms["merged"] + self.lambda_mse * terms["mse"]
        return {**terms, "total": total}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """The layers, and the image tower at 0.07 of their rate."""
        tower = [] if self.tower is None else list(self.tower.module.parameters())
        return [(list(self.parameters()), 1.0), (tower, TOWER_RATE)]

    def finish(self) -> None:
        """Mix the tower's weights with those it started from."""
        if self.tower is None:
            return
        with torch.no_grad():
            for parameter, start in zip(self.tower.module.parameters(), self.at_start, strict=True):
                parameter.lerp_(start.to(parameter.device), 1 - self.tuned_share)


def batch_terms(options: dict) -> list[str]:
    """None: every term is a mean over samples."""
    return []


def build(task: Task, layers: int, experts: int, **options: float) -> MoTE:
    """The method for the task.

    Raises:
        ConfigError: the backbone has no text features; no layer or no expert; more frames than positions.
    """
    if task.text_features_CD is None:
        raise ConfigError("params.yaml: mote needs class texts, which this backbone does not have; give it a CLIP")
    if layers < 1 or experts < 1:
        raise ConfigError(f"params.yaml: methods.mote: layers {layers} and experts {experts} must be 1 or more")
    if task.n_steps > POSITIONS:
        raise ConfigError(f"params.yaml: mote has {POSITIONS} positions, and the clips have {task.n_steps} frames")
    return MoTE(task, task.text_features_CD, layers, experts, **options)
