"""The linear probe: one linear classifier on the mean of the frame features.

The mean passes through a layer normalisation first, so that one range of learning rates fits encoders whose features
differ in scale. A mean over time cannot tell a video from the same video reversed or shuffled: this is the control for
what stills show.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task

LABEL = "Mean pool, linear probe"
SEARCHED = "lr"
TEMPORAL = False
DEFAULTS: dict = {}


class MeanPool(nn.Module):
    """Mean over time, layer normalisation, linear classifier."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, n_classes)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        fused_BD = self.norm(features_BTD.mean(dim=1))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task) -> MeanPool:
    """The probe for the task's width and classes."""
    return MeanPool(task.dim, task.n_classes)
