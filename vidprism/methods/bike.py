"""BIKE, video branch: frames that match the words of a class name weigh more in the clip that is compared with it.

Source: Wu et al., "Bidirectional Cross-Modal Knowledge Exploration for Video Recognition with Pre-trained
Vision-Language Models", CVPR 2023, Section 3.3, and the settings of github.com/whwu95/BIKE (MIT). For each word of a
class, the weights of the frames are a softmax of cosines over 0.01; a class's weights are the mean over its words. The
texts are frozen, six layers run over the frames, and the tower trains at a tenth of their rate; the loss contrasts the
clips of a batch with the texts of each other's classes, in both directions. The branch of attributes is left out. That
the words are matched with the frames after the layers is a choice of this suite.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import POSITIONS, FrameTransformer, n_heads
from vidprism.methods._parts.texts import Sentences, contrast
from vidprism.methods._parts.towers import frame_features

LABEL = "BIKE (video branch)"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
PROMPT_SET = "about"
DEFAULTS = {"layers": 6}

TOWER_RATE = 0.1  # over the rate of the layers
TEMPERATURE = 0.01


class Bike(nn.Module):
    """Layers over the frames, and frozen features of the words and of the whole text of each class."""

    words_CLD: Tensor
    is_word_CL: Tensor
    text_CD: Tensor

    def __init__(self, task: Task, layers: int) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.logit_scale = task.tower, task.logit_scale
        words_CLD, is_word_CL, text_CD = word_features(task)
        for name, value in (("words_CLD", words_CLD), ("is_word_CL", is_word_CL), ("text_CD", text_CD)):
            self.register_buffer(name, value)
        self.transformer = FrameTransformer(task.dim, n_heads(task.dim), layers)

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to frame features (B, T, D)."""
        return frame_features(self.tower, clips_BTSS3)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features to logits (B, C): scaled cosines of the texts and of the clip as each class weighs it."""
        frames_BTD = features_BTD + self.transformer(features_BTD)
        video_BCD = torch.einsum("bct,btd->bcd", self.weights(frames_BTD), frames_BTD)
        cosines_BC = torch.einsum("bcd,cd->bc", F.normalize(video_BCD, dim=-1), self.text_CD)
        return Output(self.logit_scale * cosines_BC, frames_BTD.mean(dim=1))

    def weights(self, frames_BTD: Tensor) -> Tensor:
        """The weight of each frame for each class (B, C, T), which sum to 1 over time."""
        cosines_BCLT = torch.einsum("cld,btd->bclt", self.words_CLD, F.normalize(frames_BTD, dim=-1))
        of_words = (cosines_BCLT / TEMPERATURE).softmax(dim=-1) * self.is_word_CL[..., None]
        return of_words.sum(dim=2) / self.is_word_CL.sum(dim=1)[:, None]

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Both directions' divergence between the clips of a batch and the texts of their classes, the mean."""
        logits_BB = output.logits[:, labels_B]
        loss = (contrast(logits_BB, labels_B) + contrast(logits_BB.T, labels_B)) / 2
        return {"contrast": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """The layers, and the tower at a tenth of their rate."""
        return [(list(self.parameters()), 1.0), (list(self.tower.module.parameters()), TOWER_RATE)]


@torch.no_grad()
def word_features(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Features of length 1 of all words (C, L, D), which of the L tokens are words (C, L), and of the texts (C, D)."""
    text = task.text
    assert text is not None
    ids_CL = Sentences(text, task.class_texts, task.templates).ids_CKL[:, 0]
    x = text.with_positions(text.embed_tokens(ids_CL))
    for block in text.blocks:
        x = x + block.attend(block.norm1(x))
        x = x + block.feed(block.norm2(x))
    at_CL, end_C = torch.arange(ids_CL.shape[1], device=ids_CL.device).expand(ids_CL.shape), text.ends(ids_CL)
    words_CLD = torch.stack([text.read(x, at_C) for at_C in at_CL.unbind(dim=1)], dim=1)
    is_word_CL = (at_CL > 0) & (at_CL < end_C[:, None])
    return F.normalize(words_CLD, dim=-1), is_word_CL.float(), F.normalize(text.read(x, end_C), dim=-1)


def batch_terms(options: dict) -> list[str]:
    """The whole objective: a clip is compared with the texts of the others."""
    return ["contrast"]


def build(task: Task, layers: int) -> Bike:
    """The method with `layers` layers over the frames.

    Raises:
        ConfigError: there are more frames than positions.
    """
    if task.n_steps > POSITIONS:
        raise ConfigError(f"params.yaml: bike has {POSITIONS} positions, and the clips have {task.n_steps} frames")
    return Bike(task, layers)
