"""OST: both towers train, and a class is a set of sentences to which the frames are matched by optimal transport.

Source: Chen et al., "OST: Refining Text Knowledge with Optimal Spatio-Temporal Descriptor for General Video
Recognition", CVPR 2024, Section 3, and the settings of github.com/tomchen-ctj/OST (MIT): four sentences about what is
seen and four about what happens for each class. A kind's score is the product of the mean frame and the mean sentence,
plus that of the optimal transport between frames and sentences (entropy 0.1, uniform marginals, 100 iterations, no
gradient through the plan); the logits are half the sum over both kinds. In training the clips of a batch are contrasted
with the sentences of each other's classes, in both directions. The release stops its iterations when they no longer
change; here all are made.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task
from vidprism.methods._parts.texts import Sentences, contrast
from vidprism.methods._parts.towers import frame_features

LABEL = "OST"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
TEMPORAL = False
STARTS_AS_BACKBONE = True
DEFAULTS = {"sentences": 4}

KINDS = ("spatial", "temporal")
ENTROPY, ITERATIONS = 0.1, 100


def descriptions(options: dict) -> dict[str, int]:
    """Sentences of each kind."""
    return dict.fromkeys(KINDS, options["sentences"])


def transport(similarity: Tensor) -> Tensor:
    """The plan of optimal transport between frames and sentences, (..., T, K) of similarities to the same shape.

    The cost is 1 - similarity; Sinkhorn's iterations (Cuturi, 2013) with uniform marginals. Its entries sum to 1.
    """
    kernel = torch.exp((similarity - 1) / ENTROPY)
    n_frames, n_sentences = similarity.shape[-2:]
    columns = similarity.new_full((*similarity.shape[:-2], n_sentences, 1), 1 / n_sentences)
    rows = columns
    for _ in range(ITERATIONS):
        rows = (1 / n_frames) / (kernel @ columns)
        columns = (1 / n_sentences) / (kernel.mT @ rows)
    return rows * kernel * columns.mT


def match(frames_BTD: Tensor, sentences_AKD: Tensor) -> Tensor:
    """Scores (B, A) of clips and sets of sentences, all vectors of length 1: product of means, plus transport."""
    pooled_BA = frames_BTD.mean(dim=1) @ sentences_AKD.mean(dim=1).T
    similarity_BATK = torch.einsum("btd,akd->batk", frames_BTD, sentences_AKD)
    with torch.no_grad():
        plan_BATK = transport(similarity_BATK.float())
    return pooled_BA + (plan_BATK * similarity_BATK).sum(dim=(2, 3))


class Ost(nn.Module):
    """No parameters of its own: the two towers are the method."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text = task.tower, task.text
        self.kinds = {kind: Sentences.listed(task.text, task.described[kind]) for kind in KINDS}

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to frame features (B, T, D)."""
        return frame_features(self.tower, clips_BTSS3)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features to logits (B, C). In training there are none, because the sentences follow from the labels
        (`objective`).
        """
        fused_BD = features_BTD.mean(dim=1)
        if torch.is_grad_enabled():
            return Output(fused_BD.new_empty(len(fused_BD), 0), fused_BD, kept={"frames_BTD": features_BTD})
        of_kinds = [match(F.normalize(features_BTD, dim=-1), self._unit(s.features())) for s in self.kinds.values()]
        return Output(self.text.log_scale.exp() * sum(of_kinds) / 2, fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Both directions' divergence between the clips of a batch and the sentences of their classes, added."""
        frames_BTD, found = F.normalize(output.kept["frames_BTD"], dim=-1), []
        for sentences in self.kinds.values():
            ids_BKL = sentences.ids_CKL[labels_B]
            encoded_BKD = sentences.encode(ids_BKL.flatten(0, 1)).unflatten(0, ids_BKL.shape[:2])
            found.append(match(frames_BTD, self._unit(encoded_BKD)))
        logits_BB = self.text.log_scale.exp() * sum(found) / 2
        loss = contrast(logits_BB, labels_B) + contrast(logits_BB.T, labels_B)
        return {"contrast": loss, "total": loss}

    @staticmethod
    def _unit(x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """Both towers and the scale."""
        return [([*self.tower.module.parameters(), *self.text.module.parameters()], 1.0)]


def batch_terms(options: dict) -> list[str]:
    """The whole objective: a clip is compared with the sentences of the others."""
    return ["contrast"]


def build(task: Task, sentences: int) -> Ost:
    """The method with `sentences` sentences of each kind about each class."""
    return Ost(task)
