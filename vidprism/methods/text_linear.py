"""A linear probe that begins at zero-shot: its classifier starts with the class texts.

Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), CVPR 2022, Section 2: the classifier of a
CLIP model starts with the text embeddings. The frames are L2-normalised, averaged and normalised again as in
`clip_zeroshot`, so that before the first update the two give the same answers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task

LABEL = "Linear probe from class texts"
SEARCHED = "lr"
TEMPORAL = False
DEFAULTS: dict = {}


class TextLinear(nn.Module):
    """Normalised mean over time, linear classifier that starts as zero-shot."""

    def __init__(self, text_features_CD: Tensor, logit_scale: float) -> None:
        super().__init__()
        self.logit_scale = logit_scale
        n_classes, dim = text_features_CD.shape
        self.classifier = nn.Linear(dim, n_classes)
        with torch.no_grad():
            self.classifier.weight.copy_(F.normalize(text_features_CD.float(), dim=-1))
            self.classifier.bias.zero_()

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        mean_BD = F.normalize(F.normalize(features_BTD, dim=-1).mean(dim=1), dim=-1)
        return Output(self.logit_scale * self.classifier(mean_BD), mean_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task) -> TextLinear:
    """The probe that starts with the task's class texts.

    Raises:
        ConfigError: the backbone has no text features.
    """
    if task.text_features_CD is None:
        raise ConfigError(
            "params.yaml: text_linear needs class texts, which this backbone does not have; give it a CLIP"
        )
    return TextLinear(task.text_features_CD, task.logit_scale)
