"""AIM: a frozen image tower whose attention is used twice in each block, over time and over space, with adapters.

Source: Yang et al., "AIM: Adapting Image Models for Efficient Video Action Recognition", ICLR 2023, Section 3, and the
settings of github.com/taoyang1122/adapt-image-models (Apache-2.0). A learned table over time is added to all tokens of
a frame before the first norm. In a block, the tokens at one place of all frames attend to each other through the
frozen attention and an adapter; then the tokens of each frame, with an adapter that has a skip around it; and an
adapter runs beside the MLP at half strength (`mlp_scale`; 1 for Something-Something, where `input_adapter` puts one
more in front of the attention over time).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task
from vidprism.methods._parts.towers import Adapter, dropped, frame_tokens

LABEL = "AIM"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
STARTS_AS_BACKBONE = True
DEFAULTS = {"mlp_scale": 0.5, "input_adapter": False, "drop_path": 0.2, "dropout": 0.5, "label_smoothing": 0.0}


class AimBlock(nn.Module):
    """The adapters of one block: after attention over time, after attention over space, beside the MLP."""

    def __init__(self, width: int, input_adapter: bool) -> None:
        super().__init__()
        self.time, self.space, self.mlp = Adapter(width), Adapter(width), Adapter(width)
        self.input = Adapter(width) if input_adapter else None
        for adapter in (self.time, self.space, self.mlp, self.input):
            if adapter is not None:
                nn.init.trunc_normal_(adapter.down.weight, std=0.02)


class Aim(nn.Module):
    """Adapters, the table over time, the classifier; and the tower's last norm, which trains too."""

    def __init__(
        self,
        task: Task,
        mlp_scale: float,
        input_adapter: bool,
        drop_path: float,
        dropout: float,
        label_smoothing: float,
    ) -> None:
        super().__init__()
        assert task.tower is not None
        self.tower, self.n_steps = task.tower, task.n_steps
        self.mlp_scale, self.dropout, self.label_smoothing = mlp_scale, dropout, label_smoothing
        width, depth = self.tower.width, len(self.tower.blocks)
        self.time_1TW = nn.Parameter(torch.zeros(1, task.n_steps, width))
        self.blocks: Any = nn.ModuleList(AimBlock(width, input_adapter) for _ in range(depth))
        self.drop_paths = [drop_path * i / max(1, depth - 1) for i in range(depth)]  # grows to the last block
        self.classifier = nn.Linear(width, task.n_classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def encode_draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The numbers of the two drop-paths of each block."""
        return {"paths_BI2": torch.rand(n_clips, len(self.blocks), 2, generator=rng)}

    def encode(self, clips_BTSS3: Tensor, draws: dict[str, Tensor] | None = None) -> Tensor:
        """Clips to the normed class tokens of the last block (B, T, W)."""
        tokens = frame_tokens(self.tower, clips_BTSS3).unflatten(0, (-1, self.n_steps))
        x_BTLW = self.tower.norm_in(tokens + self.time_1TW[:, :, None])
        for i in range(len(self.blocks)):
            paths_B2 = None if draws is None else draws["paths_BI2"][:, i]
            x_BTLW = self.tower.run(partial(self._block, i), x_BTLW, paths_B2)
        return self.tower.norm_out(x_BTLW[:, :, 0]).float()

    def _block(self, i: int, x_BTLW: Tensor, paths_B2: Tensor | None) -> Tensor:
        block, own, drop = self.tower.blocks[i], self.blocks[i], self.drop_paths[i]
        path = [None, None] if paths_B2 is None else [paths_B2[:, n, None, None, None] for n in (0, 1)]
        y_BTLW = block.norm1(x_BTLW)
        if own.input is not None:
            y_BTLW = y_BTLW + own.input(y_BTLW)
        over_time = own.time(block.attend(y_BTLW.transpose(1, 2)).transpose(1, 2))
        x_BTLW = x_BTLW + dropped(over_time, path[0], drop)
        y_BTLW = block.attend(block.norm1(x_BTLW))
        x_BTLW = x_BTLW + y_BTLW + own.space(y_BTLW)
        y_BTLW = block.norm2(x_BTLW)
        return x_BTLW + block.feed(y_BTLW) + dropped(self.mlp_scale * own.mlp(y_BTLW), path[1], drop)

    def draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The numbers of the dropout before the classifier."""
        return {"dropout_BW": torch.rand(n_clips, self.tower.width, generator=rng)}

    def forward(self, class_tokens_BTW: Tensor, draws: dict[str, Tensor] | None = None) -> Output:
        """Class tokens (B, T, W) to logits (B, C)."""
        fused_BW = class_tokens_BTW.mean(dim=1)
        kept_BW = dropped(fused_BW, None if draws is None else draws["dropout_BW"], self.dropout)
        return Output(self.classifier(kept_BW), fused_BW)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B, label_smoothing=self.label_smoothing)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """Adapters, the table over time, the classifier, and the tower's last norm."""
        return [([*self.parameters(), *self.tower.norm_out.parameters()], 1.0)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, **options: Any) -> Aim:
    """The method for the task; `options` are those of `DEFAULTS`."""
    return Aim(task, **options)
