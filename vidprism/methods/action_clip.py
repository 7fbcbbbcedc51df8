"""ActionCLIP: both towers train on the match of videos and sentences within a batch, with layers over the frames.

Source: Wang et al., "ActionCLIP: A New Paradigm for Video Action Recognition", arXiv 2109.08472, Section 3, and the
settings of github.com/sallymmx/ActionCLIP (MIT): in training each clip gets the sentence of its class in one of 16
templates, drawn at random, and the loss is the KL divergence in both directions from a target that shares its mass
among clips of the same class. At test the 16 C sentences compete, and the probabilities of a class's sentences are
averaged. The temporal transformer (six layers, residual to its input, 77 positions) trains at ten times the towers'
rate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import POSITIONS, FrameTransformer, n_heads
from vidprism.methods._parts.texts import Sentences, contrast, cosines
from vidprism.methods._parts.towers import frame_features

LABEL = "ActionCLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
PROMPT_SET = "actionclip"
DEFAULTS = {"layers": 6}

TOWER_RATE = 0.1  # over the rate of the temporal transformer


class ActionClip(nn.Module):
    """The temporal transformer; the towers belong to the backbone."""

    def __init__(self, task: Task, layers: int) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text = task.tower, task.text
        self.sentences = Sentences(task.text, task.class_texts, task.templates)
        self.transformer = FrameTransformer(task.dim, n_heads(task.text.width), layers)

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to frame features (B, T, D)."""
        return frame_features(self.tower, clips_BTSS3)

    def draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The template of each clip."""
        return {"template_B": torch.randint(self.sentences.ids_CKL.shape[1], (n_clips,), generator=rng)}

    def forward(self, features_BTD: Tensor, draws: dict[str, Tensor] | None = None) -> Output:
        """Frame features to logits (B, C): logarithms of the mean probability of a class's sentences. In training there
        are none, because the texts follow from the labels (`objective`).
        """
        fused_BD = (features_BTD + self.transformer(features_BTD)).mean(dim=1)
        if draws is not None:
            return Output(fused_BD.new_empty(len(fused_BD), 0), fused_BD, kept=draws)
        text_CKD = self.sentences.features()
        logits_BCK = (self.text.log_scale.exp() * cosines(fused_BD, text_CKD.flatten(0, 1))).unflatten(
            1, text_CKD.shape[:2]
        )
        return Output(logits_BCK.logsumexp(dim=2), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Both directions' divergence between the clips of a batch and the sentences of their classes, the mean."""
        ids_BL = self.sentences.ids_CKL[labels_B, output.kept["template_B"]]
        logits_BB = self.text.log_scale.exp() * cosines(output.fused, self.sentences.encode(ids_BL))
        loss = (contrast(logits_BB, labels_B) + contrast(logits_BB.T, labels_B)) / 2
        return {"contrast": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """The transformer, and both towers with the scale at a tenth of its rate."""
        towers = [*self.tower.module.parameters(), *self.text.module.parameters()]
        return [(list(self.parameters()), 1.0), (towers, TOWER_RATE)]


def batch_terms(options: dict) -> list[str]:
    """The whole objective: a clip is compared with the texts of the others."""
    return ["contrast"]


def build(task: Task, layers: int) -> ActionClip:
    """The method with `layers` layers over the frames.

    Raises:
        ConfigError: there are more frames than positions.
    """
    if task.n_steps > POSITIONS:
        raise ConfigError(
            f"params.yaml: action_clip has {POSITIONS} positions, and the clips have {task.n_steps} frames"
        )
    return ActionClip(task, layers)
