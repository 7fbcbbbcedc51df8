"""A temporal transformer over frame features, the head of ActionCLIP (arXiv 2109.08472) and Text4Vis (AAAI 2023).

Learned frame positions, pre-norm transformer layers, an outer residual to the layers' input, then the mean over time.
Those works compare the result with class texts. Here a linear classifier follows, as in VidPrism, so that only the
heads differ. The frames and the mean are layer-normalised, so that the scale of the position embeddings fits every
encoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import FrameLayer

LABEL = "Temporal transformer"
SEARCHED = "lr"
DEFAULTS = {"layers": 1, "heads": 4, "ffn_ratio": 4}


class TemporalTransformer(nn.Module):
    """Frame positions, layers, residual to the input, mean over time, linear classifier."""

    def __init__(self, task: Task, layers: int, heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(task.dim), nn.LayerNorm(task.dim)
        self.positions_TD = nn.Parameter(0.02 * torch.randn(task.n_steps, task.dim))
        self.layers = nn.Sequential(*(FrameLayer(task.dim, heads, ffn_ratio) for _ in range(layers)))
        self.classifier = nn.Linear(task.dim, task.n_classes)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        x_BTD = self.norm_in(features_BTD)
        fused_BD = self.norm_out((x_BTD + self.layers(x_BTD + self.positions_TD)).mean(dim=1))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, layers: int, heads: int, ffn_ratio: int) -> TemporalTransformer:
    """The head with `layers` layers of `heads` heads.

    Raises:
        ConfigError: `heads` does not divide the feature width, or a number is below 1.
    """
    if min(layers, heads, ffn_ratio) < 1 or task.dim % heads:
        raise ConfigError(
            f"params.yaml: methods.temporal_transformer: layers {layers}, heads {heads} and ffn_ratio "
            f"{ffn_ratio} must be at least 1, and the heads must divide the feature width {task.dim}"
        )
    return TemporalTransformer(task, layers, heads, ffn_ratio)
