"""An attentive probe: a learned query attends to the frame features, the usual probe of frozen video features.

A query attends to the frames in several heads, a feed-forward block with a residual follows, then a linear classifier.
Source: Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from Video" (V-JEPA), 2024,
Section 4: cross-attention with a learnable query, layer normalisation and an MLP. Learned frame positions are added,
because frame features of an image encoder, unlike those of a video encoder, do not hold their time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task

LABEL = "Attentive probe"
SEARCHED = "lr"
DEFAULTS = {"heads": 4, "ffn_ratio": 4}


class AttentiveProbe(nn.Module):
    """Positions, cross-attention of one query, feed-forward block, linear classifier. H heads of width K = D / H."""

    def __init__(self, task: Task, heads: int, ffn_ratio: int) -> None:
        super().__init__()
        dim = task.dim
        self.heads = heads
        self.norm_in, self.norm_ffn, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.positions_TD = nn.Parameter(0.02 * torch.randn(task.n_steps, dim))
        self.query_D = nn.Parameter(0.02 * torch.randn(dim))
        self.key_value, self.out = nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn_ratio * dim), nn.GELU(), nn.Linear(ffn_ratio * dim, dim))
        self.classifier = nn.Linear(dim, task.n_classes)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        x_BTD = self.norm_in(features_BTD) + self.positions_TD
        keys_BHTK, values_BHTK = self.key_value(x_BTD).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query_HK = self.query_D.unflatten(0, (self.heads, -1))
        weights_BH1T = (query_HK[:, None] @ keys_BHTK.mT * query_HK.shape[-1] ** -0.5).softmax(dim=-1)
        pooled_BD = self.out((weights_BH1T @ values_BHTK).flatten(1))
        fused_BD = self.norm_out(pooled_BD + self.ffn(self.norm_ffn(pooled_BD)))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, heads: int, ffn_ratio: int) -> AttentiveProbe:
    """The probe with `heads` heads.

    Raises:
        ConfigError: `heads` does not divide the feature width, or a number is below 1.
    """
    if min(heads, ffn_ratio) < 1 or task.dim % heads:
        raise ConfigError(
            f"params.yaml: methods.attentive_probe: heads {heads} and ffn_ratio {ffn_ratio} must be at least 1, and "
            f"the heads must divide the feature width {task.dim}"
        )
    return AttentiveProbe(task, heads, ffn_ratio)
