"""Text4Vis: the class texts are the classifier, and they stay as they are; what is trained is the video side.

A transformer of six layers over the frame features, a residual to its input, the mean over time, and the scaled cosine
to the frozen class texts. Source: Wu et al., "Revisiting Classifier: Transferring Vision-Language Models for Video
Recognition", AAAI 2023, Section 3, and the settings of github.com/whwu95/Text4Vis (MIT): heads of width 64, QuickGELU,
77 positions, weights N(0, 0.02), the scale trained at a tenth of the rate. The published few-shot runs have no
transformer (`layers: 0`) and train the image encoder. On cached features only the scale would be left to train.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import POSITIONS, FrameTransformer, n_heads

LABEL = "Text4Vis"
SEARCHED = "lr"
IS_PEER = True
DEFAULTS = {"layers": 6}

SCALE_RATE = 0.1  # rate of the scale over that of the transformer


class Text4Vis(nn.Module):
    """Frame positions, layers, residual to the input, mean over time, scaled cosine to the class texts."""

    text_CD: Tensor

    def __init__(self, task: Task, text_features_CD: Tensor, layers: int) -> None:
        super().__init__()
        self.register_buffer("text_CD", F.normalize(text_features_CD.float(), dim=-1))
        self.log_scale_at_start = math.log(task.logit_scale)
        # AdamW moves every parameter by about its rate, whatever its gradient: the factor makes the scale slower
        self.scale_shift = nn.Parameter(torch.zeros(()))
        self.transformer = FrameTransformer(task.dim, n_heads(task.dim), layers) if layers else None

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        x_BTD = features_BTD
        if self.transformer is not None:
            x_BTD = x_BTD + self.transformer(x_BTD)
        mean_BD = F.normalize(x_BTD.mean(dim=1), dim=-1)
        scale = torch.exp(self.log_scale_at_start + SCALE_RATE * self.scale_shift)
        return Output(scale * mean_BD @ self.text_CD.T, mean_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, layers: int) -> Text4Vis:
    """The method with `layers` layers over the frames; 0 leaves the mean of the frame features.

    Raises:
        ConfigError: the backbone has no text features; `layers` is negative; there are more frames than positions, or
            the heads do not divide the feature width.
    """
    if task.text_features_CD is None:
        raise ConfigError("params.yaml: text4vis needs class texts, which this backbone does not have; give it a CLIP")
    if layers < 0:
        raise ConfigError(f"params.yaml: methods.text4vis: layers {layers} must be 0 or more")
    if task.n_steps > POSITIONS:
        raise ConfigError(f"params.yaml: text4vis has {POSITIONS} positions, and the clips have {task.n_steps} frames")
    if task.dim % n_heads(task.dim):
        raise ConfigError(f"params.yaml: text4vis has {n_heads(task.dim)} heads, which do not divide width {task.dim}")
    return Text4Vis(task, task.text_features_CD, layers)
