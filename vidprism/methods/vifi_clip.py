"""ViFi-CLIP: CLIP tuned as it is. Both towers train at one rate, and a video is the mean of its frames.

Source: Rasheed et al., "Fine-tuned CLIP Models are Efficient Video Learners", CVPR 2023, Section 3.1, and the settings
of github.com/muzairkhattak/ViFi-CLIP (no licence; facts only): the sentence "a photo of a {}." is encoded again in
every update, the scale trains too, label smoothing 0.1. Its mixup and cutmix are settings of the recipe.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task
from vidprism.methods._parts.texts import Sentences, cosines
from vidprism.methods._parts.towers import frame_features

LABEL = "ViFi-CLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
ON_JOINT = True
USES = ("text",)
PROMPT_SET = "photo"
TEMPORAL = False
STARTS_AS_BACKBONE = True
DEFAULTS = {"label_smoothing": 0.1}


class ViFiClip(nn.Module):
    """No parameters of its own: the two towers are the method."""

    def __init__(self, task: Task, label_smoothing: float) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text, self.label_smoothing = task.tower, task.text, label_smoothing
        self.sentences = Sentences(task.text, task.class_texts, task.templates)

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to frame features (B, T, D)."""
        return frame_features(self.tower, clips_BTSS3)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features to logits (B, C): the scaled cosine of their mean and the class texts."""
        fused_BD = features_BTD.mean(dim=1)
        return Output(self.text.log_scale.exp() * cosines(fused_BD, self.sentences.features()[:, 0]), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,), smoothed."""
        loss = F.cross_entropy(output.logits, labels_B, label_smoothing=self.label_smoothing)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """Both towers and the scale."""
        return [([*self.tower.module.parameters(), *self.text.module.parameters()], 1.0)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, label_smoothing: float) -> ViFiClip:
    """The method for the task."""
    return ViFiClip(task, label_smoothing)
