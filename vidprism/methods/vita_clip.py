"""Vita-CLIP: learned tokens inside both frozen towers: summaries and prompts among the patches, words before a class.

Source: Wasim et al., "Vita-CLIP: Video and Text Adaptive CLIP via Multimodal Prompting", CVPR 2023, Section 3, and the
settings of github.com/TalalWasim/Vita-CLIP (MIT). In each block, every frame also sees 8 global prompts, a local prompt
for each frame (a table plus a map of that frame's class token) and a summary of its class token after attention among
all frames; summary and local prompts leave before the MLP, the global ones after it. Text: 8 learned vectors before
each class name. The release trains parameters by name, which leaves the maps of the class tokens at their random
start; `cls_proj: trained` trains them, too.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.texts import Sentences, cosines
from vidprism.methods._parts.towers import frame_tokens

LABEL = "Vita-CLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
DEFAULTS = {"global_prompts": 8, "words": 8, "cls_proj": "frozen"}

FILLER = "X"  # a word of one token, whose embedding the learned vectors replace


class VitaBlock(nn.Module):
    """What a block adds: global and local prompts, and the summary of each frame."""

    def __init__(self, width: int, heads: int, n_steps: int, n_global: int, spread: float) -> None:
        super().__init__()
        self.cls_proj, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        nn.init.xavier_uniform_(self.attention.out_proj.weight)
        self.global_GW = nn.Parameter(torch.empty(n_global, width).uniform_(-spread, spread))
        self.local_TW = nn.Parameter(torch.empty(n_steps, width).uniform_(-spread, spread))

    def summaries(self, class_tokens_BTW: Tensor) -> tuple[Tensor, Tensor]:
        """Local prompts and summaries, both (B, T, W)."""
        mapped = self.cls_proj(class_tokens_BTW)
        normed = self.norm(mapped)
        return self.local_TW + mapped, mapped + self.attention(normed, normed, normed, need_weights=False)[0]


class VitaClip(nn.Module):
    """Prompts, summaries and words; the towers belong to the backbone and are frozen."""

    def __init__(self, task: Task, global_prompts: int, words: int, cls_proj: str) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text, self.n_words, self.trains_maps = task.tower, task.text, words, cls_proj == "trained"
        width = task.tower.width
        spread = math.sqrt(6 / (3 * task.tower.patch_px**2 + width))
        self.times_TW = nn.Parameter(0.02 * torch.randn(task.n_steps, width))
        self.blocks: Any = nn.ModuleList(
            VitaBlock(width, task.tower.heads, task.n_steps, global_prompts, spread) for _ in task.tower.blocks
        )
        self.words_CKW = nn.Parameter(0.02 * torch.randn(task.n_classes, words, task.text.width))
        self.sentences = Sentences(task.text, task.class_texts, [" ".join([FILLER] * words + ["{}."])])

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to frame features (B, T, D)."""
        n_steps = clips_BTSS3.shape[1]
        tokens_BTLW = frame_tokens(self.tower, clips_BTSS3).unflatten(0, (-1, n_steps))
        x_BTLW = self.tower.norm_in(tokens_BTLW + self.times_TW[:, None])
        for i in range(len(self.blocks)):
            x_BTLW = self.tower.run(partial(self._block, i), x_BTLW)
        return self.tower.project(self.tower.norm_out(x_BTLW[:, :, 0])).float()

    def _block(self, i: int, x_BTLW: Tensor) -> Tensor:
        block, own = self.tower.blocks[i], self.blocks[i]
        n_steps, n_global, first = x_BTLW.shape[1], len(own.global_GW), x_BTLW[:, :, :1]
        local_BTW, summary_BTW = own.summaries(first.squeeze(2))
        global_BTGW = own.global_GW.expand(*x_BTLW.shape[:2], -1, -1)
        local_BTTW = local_BTW[:, None].expand(-1, n_steps, -1, -1)  # every frame sees those of all frames
        x = torch.cat([first, global_BTGW, x_BTLW[:, :, 1:], local_BTTW, summary_BTW[:, :, None]], dim=2)
        x = (x + block.attend(block.norm1(x)))[:, :, : -n_steps - 1]
        x = x + block.feed(block.norm2(x))
        return torch.cat([x[:, :, :1], x[:, :, 1 + n_global :]], dim=2)

    def texts(self) -> Tensor:
        """Features (C, D) of the learned words and the class names."""
        ids_CL = self.sentences.ids_CKL[:, 0]
        x_CLW = self.text.embed_tokens(ids_CL)
        x_CLW = torch.cat([x_CLW[:, :1], self.words_CKW, x_CLW[:, 1 + self.n_words :]], dim=1)
        return self.text.encode(x_CLW, self.text.ends(ids_CL))

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features to logits (B, C): the scaled cosine of their mean and the class texts."""
        fused_BD = features_BTD.mean(dim=1)
        return Output(self.text.log_scale.exp() * cosines(fused_BD, self.texts()), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """All that is new but the maps of the class tokens (`cls_proj`), and the scale."""
        own = [p for name, p in self.named_parameters() if self.trains_maps or ".cls_proj." not in name]
        return [([*own, self.text.log_scale], 1.0)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, global_prompts: int, words: int, cls_proj: str) -> VitaClip:
    """The method with `global_prompts` tokens a block and `words` learned vectors before each class name.

    Raises:
        ConfigError: another `cls_proj` than frozen or trained; a class text longer than the text tower's context.
    """
    if cls_proj not in ("frozen", "trained"):
        raise ConfigError(f"params.yaml: vita_clip: cls_proj must be frozen or trained, not {cls_proj!r}")
    assert task.text is not None
    longest = int(task.text.ends(task.text.tokenize([f"{text}." for text in task.class_texts])).max()) + 1 + words
    if longest > task.text.context_length:
        raise ConfigError(
            f"params.yaml: vita_clip: {words} words and a class text are {longest} tokens, and the text tower reads "
            f"{task.text.context_length}; lower methods.vita_clip.words"
        )
    return VitaClip(task, global_prompts, words, cls_proj)
