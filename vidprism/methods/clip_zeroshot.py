"""CLIP without any training: a clip gets the class whose text is nearest to the mean of its frames.

Radford et al. 2021 (CLIP), applied to video as in the zero-shot rows of the CLIP-to-video literature: frame embeddings
are L2-normalised, averaged over time, normalised again, and compared with the class texts by the scaled cosine. Nothing
is learned. The search on the dev pool chooses a set of prompts instead of a learning rate.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task

LABEL = "CLIP zero-shot"
SEARCHED = "prompt_set"
TEMPORAL = False
DEFAULTS: dict = {}


class ZeroShot(nn.Module):
    """Scaled cosine between the mean frame and the class texts."""

    text_CD: Tensor

    def __init__(self, text_features_CD: Tensor, logit_scale: float) -> None:
        super().__init__()
        self.logit_scale = logit_scale
        self.register_buffer("text_CD", F.normalize(text_features_CD.float(), dim=-1))

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        mean_BD = F.normalize(F.normalize(features_BTD, dim=-1).mean(dim=1), dim=-1)
        return Output(self.logit_scale * mean_BD @ self.text_CD.T, mean_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy, for the tests; there is no parameter to train."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def build(task: Task) -> ZeroShot:
    """The classifier that consists of the task's text features.

    Raises:
        ConfigError: the backbone has no text features.
    """
    if task.text_features_CD is None:
        raise ConfigError(
            "params.yaml: clip_zeroshot needs class texts, which this backbone does not have; give it a CLIP"
        )
    return ZeroShot(task.text_features_CD, task.logit_scale)
