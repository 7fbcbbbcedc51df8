"""ETL: adapters beside the frozen blocks of both towers, which share their middle map.

Source: Chen et al., "Efficient Transfer Learning for Video-language Foundation Models", CVPR 2025, Section 3, as two
public reading notes agree (arXiv 2411.11223; no code, and no licence of the repository; facts only). Block j becomes
x + block(x) + 0.005 A(x), where A narrows, maps by a matrix that the video and the text adapter of one depth share, and
widens; video patches get a convolution over time besides. The loss adds, for each class, the cosine distances of the
trained text from the frozen tower's mean over spatial and over temporal sentences. The paper works on ViCLIP; the label
says so where another encoder runs. The width of 256 throughout, the convolution's kernel of three frames and its 256
groups are a choice of this suite: with them the paper's 8.7 M parameters are met. GELU is a choice of this suite, and
so is the use of all blocks also with few shots, where the paper uses the last five of twelve.

Letters: B clips, T frames, P patches of a frame, L tokens, W width of a tower, A width of the adapters, C classes, K
sentences, D joint width.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task
from vidprism.methods._interface import TowerBlock
from vidprism.methods._parts.texts import Sentences, cosines
from vidprism.methods._parts.towers import frame_tokens, over_time, run_block

LABEL = "ETL"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
ON_JOINT = True
USES = ("text",)
PROMPT_SET = "video"
DEFAULTS = {"share": 0.005, "lambda_cc": 1.0, "sentences": 2}

KINDS = ("spatial", "temporal")


def descriptions(options: dict) -> dict[str, int]:
    """Sentences of each kind."""
    return dict.fromkeys(KINDS, options["sentences"])


def adapter_width(width: int) -> int:
    """A: 256 as published for ViT-B/16 and L/14, and a third of a narrower tower."""
    return 256 if width >= 768 else width // 3


class SharedAdapters(nn.Module):
    """The adapters of one depth: the video's and, if the text tower reaches it, the text's."""

    def __init__(self, width: int, text_width: int | None) -> None:
        super().__init__()
        narrow = adapter_width(width)
        self.repeats = width // narrow
        self.shared = nn.Linear(narrow, narrow)
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.kernel_3W, self.bias_W = nn.Parameter(torch.empty(3, width)), nn.Parameter(torch.zeros(width))
        nn.init.kaiming_uniform_(self.kernel_3W.T, a=5**0.5)  # each output sees three numbers
        if text_width is not None:
            self.text_down, self.text_up = nn.Linear(text_width, narrow), nn.Linear(narrow, text_width)

    def _middle(self, x: Tensor) -> Tensor:
        return F.gelu(self.shared(F.gelu(x)))

    def video(self, x_BTXW: Tensor, first_BYW: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, T, ..., W) and class tokens (B, ..., W), which get no convolution, to what is added to each."""
        h_BTXA = self._middle(self.down(x_BTXW))
        wide_BTXW = h_BTXA.repeat_interleave(self.repeats, dim=-1)
        added = self.up(h_BTXA) + over_time(wide_BTXW, self.kernel_3W, self.bias_W)
        return added, self.up(self._middle(self.down(first_BYW)))

    def text(self, x: Tensor) -> Tensor:
        """(..., W of the text tower) to what is added."""
        return self.text_up(self._middle(self.text_down(x)))


class Etl(nn.Module):
    """The adapters; the towers belong to the backbone and are frozen."""

    described_CKD: dict[str, Tensor]

    def __init__(self, task: Task, share: float, lambda_cc: float) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text, self.share, self.lambda_cc = task.tower, task.text, share, lambda_cc
        n_text = len(task.text.blocks)
        widths = [task.text.width if i < n_text else None for i in range(len(task.tower.blocks))]
        self.adapters: Any = nn.ModuleList(SharedAdapters(task.tower.width, width) for width in widths)
        self.sentences = Sentences(task.text, task.class_texts, task.templates)
        for kind in KINDS:
            with torch.no_grad():
                encoded_CKD = Sentences.listed(task.text, task.described[kind]).features()
            self.register_buffer(f"{kind}_CD", F.normalize(encoded_CKD, dim=-1).mean(dim=1))
        self._known: tuple[int, Tensor] | None = None

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to features (B, T, D); (B, 1, D) where the tower joins all frames."""
        n_clips, n_steps = clips_BTSS3.shape[:2]
        x = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3))
        for adapters, block in zip(self.adapters, self.tower.blocks, strict=True):
            x = self.tower.run(partial(self._block, adapters, block, n_steps), x)
        return self.tower.project(self.tower.norm_out(x[:, 0])).unflatten(0, (n_clips, -1)).float()

    def _block(self, adapters: SharedAdapters, block: TowerBlock, n_steps: int, x_NLW: Tensor) -> Tensor:
        n_patches = (x_NLW.shape[1] - 1) // n_steps if self.tower.joint else x_NLW.shape[1] - 1
        patches_BTPW = x_NLW[:, 1:].reshape(-1, n_steps, n_patches, x_NLW.shape[-1])
        to_patches, to_first = adapters.video(patches_BTPW, x_NLW[:, :1])
        added_NLW = torch.cat([to_first, to_patches.reshape(len(x_NLW), -1, x_NLW.shape[-1])], dim=1)
        return run_block(block, x_NLW) + self.share * added_NLW

    def texts(self) -> Tensor:
        """Features (C, D) of the classes' sentence through the adapted text tower. Without gradient they are encoded
        once for the same weights.
        """
        version = sum(parameter._version for parameter in self.parameters())
        if torch.is_grad_enabled() or self._known is None or self._known[0] != version:
            ids_CL = self.sentences.ids_CKL[:, 0]
            x = self.text.with_positions(self.text.embed_tokens(ids_CL))
            for adapters, block in zip(self.adapters, self.text.blocks, strict=False):
                x = run_block(block, x) + self.share * adapters.text(x)
            found_CD = self.text.read(x, self.text.ends(ids_CL))
            if torch.is_grad_enabled():
                return found_CD
            self._known = version, found_CD
        return self._known[1]

    def forward(self, features_BTD: Tensor) -> Output:
        """Features to logits (B, C): the scaled cosine of their mean and the class texts."""
        fused_BD, text_CD = features_BTD.mean(dim=1), self.texts()
        logits = self.text.log_scale.exp() * cosines(fused_BD, text_CD)
        return Output(logits, fused_BD, kept={"text_CD": text_CD})

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy against labels (B,), and the distances of the class texts from their descriptions."""
        terms = {"cls": F.cross_entropy(output.logits, labels_B)}
        described_KCD = torch.stack([getattr(self, f"{kind}_CD") for kind in KINDS])
        similar_KC = F.cosine_similarity(output.kept["text_CD"], described_KCD, dim=-1)
        terms["cc"] = self.lambda_cc * (1 - similar_KC).sum(dim=0).mean()
        return {**terms, "total": terms["cls"] + terms["cc"]}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """The adapters; towers and scale are frozen."""
        return [(list(self.parameters()), 1.0)]


def batch_terms(options: dict) -> list[str]:
    """None: the second term does not look at the clips."""
    return []


def build(task: Task, share: float, lambda_cc: float, sentences: int) -> Etl:
    """The method with `sentences` sentences of each kind about each class."""
    return Etl(task, share, lambda_cc)
