"""ST-Adapter: bottlenecks with a depth-wise convolution over time inside a frozen image tower.

Source: Pan et al., "ST-Adapter: Parameter-Efficient Image-to-Video Transfer Learning", NeurIPS 2022, Section 3.2, and
the settings of github.com/linziyi96/st-adapter (MIT): one adapter a block before its MLP for Kinetics, two a block
(before attention and MLP) for Something-Something; width 384; no activation; patches only; the class tokens' mean, the
tower's last norm (frozen), dropout 0.5 and a linear classifier.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.towers import dropped, frame_tokens, narrow_width, over_time

LABEL = "ST-Adapter"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
STARTS_AS_BACKBONE = True
DEFAULTS = {"places": ["mlp"], "dropout": 0.5}

PLACES = ("attention", "mlp")


class TimeAdapter(nn.Module):
    """Down, convolution over time, up, added to the patches. It begins as nothing, because the convolution is zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = narrow_width(width)
        self.down, self.up = nn.Linear(width, narrow), nn.Linear(narrow, width)
        self.over_time_3A, self.shift_A = nn.Parameter(torch.zeros(3, narrow)), nn.Parameter(torch.zeros(narrow))
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor, n_steps: int) -> Tensor:
        """Tokens (B * T, L, W) to the same shape; the class token is not changed."""
        patches_BTPA = self.down(x[:, 1:]).unflatten(0, (-1, n_steps))
        change = self.up(over_time(patches_BTPA, self.over_time_3A, self.shift_A)).flatten(0, 1)
        return torch.cat([x[:, :1], x[:, 1:] + change], dim=1)


class STAdapter(nn.Module):
    """The adapters of all blocks and the classifier; the tower belongs to the backbone."""

    def __init__(self, task: Task, places: list[str], dropout: float) -> None:
        super().__init__()
        assert task.tower is not None
        self.tower, self.places, self.dropout = task.tower, places, dropout
        width = self.tower.width
        self.adapters: Any = nn.ModuleDict(
            {place: nn.ModuleList(TimeAdapter(width) for _ in self.tower.blocks) for place in places}
        )
        self.classifier = nn.Linear(width, task.n_classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def encode(self, clips_BTSS3: Tensor) -> Tensor:
        """Clips to the class tokens of the last block (B, T, W), before any norm."""
        n_steps = clips_BTSS3.shape[1]
        x = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3))
        for i in range(len(self.tower.blocks)):
            x = self.tower.run(partial(self._block, i, n_steps), x)
        return x[:, 0].unflatten(0, (-1, n_steps))

    def _block(self, i: int, n_steps: int, x: Tensor) -> Tensor:
        block = self.tower.blocks[i]
        if "attention" in self.adapters:
            x = self.adapters["attention"][i](x, n_steps)
        x = x + block.attend(block.norm1(x))
        if "mlp" in self.adapters:
            x = self.adapters["mlp"][i](x, n_steps)
        return x + block.feed(block.norm2(x))

    def draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The numbers of the dropout before the classifier."""
        return {"dropout_BW": torch.rand(n_clips, self.tower.width, generator=rng)}

    def forward(self, class_tokens_BTW: Tensor, draws: dict[str, Tensor] | None = None) -> Output:
        """Class tokens (B, T, W) to logits (B, C)."""
        fused_BW = self.tower.norm_out(class_tokens_BTW.mean(dim=1)).float()
        kept_BW = dropped(fused_BW, None if draws is None else draws["dropout_BW"], self.dropout)
        return Output(self.classifier(kept_BW), fused_BW)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """Adapters and classifier; the tower is frozen with its last norm."""
        return [(list(self.parameters()), 1.0)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, places: list[str], dropout: float) -> STAdapter:
    """Adapters at `places` of every block: before its attention, before its MLP, or both.

    Raises:
        ConfigError: an unknown place, or none.
    """
    if not places or not set(places) <= set(PLACES):
        raise ConfigError(f"params.yaml: st_adapter: places must be one or both of {', '.join(PLACES)}, not {places}")
    return STAdapter(task, places, dropout)
