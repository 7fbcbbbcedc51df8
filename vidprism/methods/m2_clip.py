"""M2-CLIP: adapters for change between frames and over time in a frozen image tower, one in the text tower, two heads.

Source: Wang et al., "M2-CLIP: A Multimodal, Multi-task Adapting Framework for Video Action Recognition", AAAI 2024, and
facts of github.com/sallymmx/m2clip (no licence). An adapter (width 384) adds to the patches a map of their difference
from the frame before, through a 3 x 3 convolution over space, and to all tokens a map through a convolution over time.
It stands before the MLP of every block (Kinetics), or before attention and MLP (Something-Something, `places`). Heads:
the scaled cosine of the frames' mean, after one more convolution over time, to the texts, and a linear classifier of
the class tokens' mean. The loss is (K + S) / 2 + F: the contrast within the batch as ActionCLIP's, the cross-entropy of
the *softmax* of the cosines (softmax twice, as released), and that of the classifier. The fourth task of the paper,
masked words, is left out: in the released trainer its branch is never taken, and the loss is not a number. Which head
the paper prints is not said (`head`). That S takes one drawn template for each class is a choice of this suite.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.texts import Sentences, contrast, cosines
from vidprism.methods._parts.towers import dropped, frame_tokens, narrow_width, over_time

LABEL = "M2-CLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
PROMPT_SET = "actionclip"
DEFAULTS = {"places": ["mlp"], "head": "linear", "dropout": 0.5}

PLACES = ("attention", "mlp")
TEXT_RATE = 0.5  # of the adapter in the text tower, over that of the others
SCALE = 100.0  # inside the softmax of the second loss


def _zero_biases(*maps: Any) -> None:
    for linear in maps:
        nn.init.zeros_(linear.bias)


class TimeConvolution(nn.Module):
    """Down, depth-wise convolution over time (zeros at the start), up."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.over_time_3A, self.shift_A = nn.Parameter(torch.zeros(3, narrow)), nn.Parameter(torch.zeros(narrow))
        _zero_biases(self.down, self.up)

    def forward(self, x: Tensor) -> Tensor:
        """The change of (B, T, ..., W), the same shape."""
        return self.up(over_time(self.down(x), self.over_time_3A, self.shift_A))


class Difference(nn.Module):
    """The difference of each frame's patches from the frame before, a 3 x 3 convolution of it (zeros at the start)."""

    def __init__(self, width: int, narrow: int, side: int) -> None:
        super().__init__()
        self.side, self.down, self.up = side, nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.over_space: Any = nn.Conv2d(narrow, narrow, kernel_size=3, padding=1, groups=narrow)
        nn.init.zeros_(self.over_space.weight)
        _zero_biases(self.over_space, self.down, self.up)

    def forward(self, x_BTPW: Tensor) -> Tensor:
        """The change of the patches (B, T, P, W), the same shape."""
        before = torch.cat([x_BTPW[:, :1], x_BTPW[:, :-1]], dim=1)
        narrow = self.down(x_BTPW - before).flatten(0, 1).mT.unflatten(2, (self.side, self.side))
        return self.up(self.over_space(narrow).flatten(2).mT).unflatten(0, x_BTPW.shape[:2])


class VideoAdapter(nn.Module):
    """Both parts; each sees the same input."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        narrow = narrow_width(width)
        self.over_time, self.difference = TimeConvolution(width, narrow), Difference(width, narrow, side)

    def forward(self, x_BTLW: Tensor) -> Tensor:
        """Tokens (B, T, L, W), class token first, to the same shape."""
        change = self.difference(x_BTLW[:, :, 1:])
        return x_BTLW + self.over_time(x_BTLW) + F.pad(change, (0, 0, 1, 0))


class TextAdapter(nn.Module):
    """Linear, GELU, linear, with a skip; it does not begin as nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = min(384, 3 * width // 4)
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        _zero_biases(self.down, self.up)

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) to (..., W)."""
        return x + self.up(F.gelu(self.down(x)))


class M2Clip(nn.Module):
    """The adapters of both towers and the two heads; the towers belong to the backbone and are frozen."""

    def __init__(self, task: Task, places: list[str], head: str, dropout: float) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text, self.head, self.dropout = task.tower, task.text, head, dropout
        width, side = task.tower.width, task.tower.side
        self.adapters: Any = nn.ModuleDict(
            {place: nn.ModuleList(VideoAdapter(width, side) for _ in task.tower.blocks) for place in places}
        )
        self.text_adapter = TextAdapter(task.text.width)
        self.frames = TimeConvolution(task.dim, task.dim // 2)
        self.classifier = nn.Linear(width, task.n_classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self.sentences = Sentences(task.text, task.class_texts, task.templates)

    def encode(self, clips_BTSS3: Tensor) -> dict[str, Tensor]:
        """Clips to class tokens of the last block (B, T, W) and frame features (B, T, D)."""
        n_steps = clips_BTSS3.shape[1]
        x_BTLW = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3)).unflatten(0, (-1, n_steps))
        for i in range(len(self.tower.blocks)):
            x_BTLW = self.tower.run(partial(self._block, i), x_BTLW)
        class_tokens = x_BTLW[:, :, 0]
        features = self.tower.project(self.tower.norm_out(class_tokens))
        return {"class_tokens": class_tokens.float(), "features": features.float()}

    def _block(self, i: int, x: Tensor) -> Tensor:
        block = self.tower.blocks[i]
        if "attention" in self.adapters:
            x = self.adapters["attention"][i](x)
        x = x + block.attend(block.norm1(x))
        if "mlp" in self.adapters:
            x = self.adapters["mlp"][i](x)
        return x + block.feed(block.norm2(x))

    def texts(self, ids_NL: Tensor) -> Tensor:
        """Features (N, D) of sentences; the adapter stands before the MLP of the last block."""
        x = self.text.with_positions(self.text.embed_tokens(ids_NL))
        for i, block in enumerate(self.text.blocks):
            x = x + block.attend(block.norm1(x))
            if i == len(self.text.blocks) - 1:
                x = self.text_adapter(x)
            x = x + block.feed(block.norm2(x))
        return self.text.read(x, self.text.ends(ids_NL))

    def draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The template of each clip and of each class, and the numbers of the dropout before the classifier."""
        n_classes, n_templates = self.sentences.ids_CKL.shape[:2]
        return {
            "template_B": torch.randint(n_templates, (n_clips,), generator=rng),
            "template_C": torch.randint(n_templates, (n_classes,), generator=rng),
            "dropout_BW": torch.rand(n_clips, self.tower.width, generator=rng),
        }

    def forward(self, encoded: dict[str, Tensor], draws: dict[str, Tensor] | None = None) -> Output:
        """Class tokens and frame features to logits (B, C) of the head that `head` names."""
        features_BTD = encoded["features"]
        video_BD = (features_BTD + self.frames(features_BTD)).mean(dim=1)
        fused_BW = self.tower.norm_out(encoded["class_tokens"].mean(dim=1)).float()
        if draws is not None:
            logits = self.classifier(dropped(fused_BW, draws["dropout_BW"], self.dropout))
            return Output(logits, fused_BW, kept={**draws, "video_BD": video_BD})
        if self.head == "linear":
            return Output(self.classifier(fused_BW), fused_BW)
        n_classes, n_templates = self.sentences.ids_CKL.shape[:2]
        text_CKD = self.texts(self.sentences.ids_CKL.flatten(0, 1)).unflatten(0, (n_classes, n_templates))
        logits_BCK = self.text.log_scale.exp() * cosines(video_BD, text_CKD.flatten(0, 1)).unflatten(1, (n_classes, -1))
        return Output(logits_BCK.logsumexp(dim=2), video_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """(K + S) / 2 + F; see the top of the file."""
        kept, ids_CKL = output.kept, self.sentences.ids_CKL
        terms = {"cls": F.cross_entropy(output.logits, labels_B)}
        if not kept:
            return {**terms, "total": terms["cls"]}
        scale = self.text.log_scale.exp()
        logits_BB = scale * cosines(kept["video_BD"], self.texts(ids_CKL[labels_B, kept["template_B"]]))
        terms["contrast"] = (contrast(logits_BB, labels_B) + contrast(logits_BB.T, labels_B)) / 2
        classes = torch.arange(len(ids_CKL), device=labels_B.device)
        shares_BC = (SCALE * cosines(kept["video_BD"], self.texts(ids_CKL[classes, kept["template_C"]]))).softmax(dim=1)
        terms["similarity"] = F.cross_entropy(shares_BC, labels_B)
        return {**terms, "total": (terms["contrast"] + terms["similarity"]) / 2 + terms["cls"]}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """All that is new; the adapter of the text tower at half the rate. The towers and the scale are frozen."""
        of_text = list(self.text_adapter.parameters())
        known = set(map(id, of_text))
        return [([p for p in self.parameters() if id(p) not in known], 1.0), (of_text, TEXT_RATE)]


def batch_terms(options: dict) -> list[str]:
    """The contrast, in which a clip is compared with the texts of the others."""
    return ["contrast"]


def build(task: Task, places: list[str], head: str, dropout: float) -> M2Clip:
    """Adapters at `places` of every block; `head` gives the scores, "linear" or "cosine".

    Raises:
        ConfigError: an unknown place or head.
    """
    if not places or not set(places) <= set(PLACES):
        raise ConfigError(f"params.yaml: m2_clip: places must be one or both of {', '.join(PLACES)}, not {places}")
    if head not in ("linear", "cosine"):
        raise ConfigError(f"params.yaml: m2_clip: head must be linear or cosine, not {head!r}")
    return M2Clip(task, places, head, dropout)
