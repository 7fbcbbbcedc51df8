"""DualPath: a frozen image tower sees 8 frames as they are, and sets of frames as one picture each.

Source: Park, Lee and Sohn, "Dual-path Adaptation from Image to Video Transformers", CVPR 2023 (arXiv 2303.09857),
Section 3, and the adapters of github.com/park-jungin/DualPath (in a folder under CLIP's MIT licence). The clip's frames
are shrunk and laid out in grids of `grid` x `grid`; 8 of them also pass at full size. Both kinds of picture go through
the same tower. On the path over space an adapter runs beside attention and beside MLP; on the path over time adapters
stand before and after attention and after the MLP, and the block has no other way through, so that this path begins as
nothing. Its positions are a learned table, and a fixed sine table by the number of the frame in the grid that a patch
lies in. The mean features of both paths are joined and classified by two layers. The published grid is 4 x 4; clips
whose length 16 does not divide take 2 x 2. Dropout masks are shared by the tokens of a clip, a choice of this suite.
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
from vidprism.methods._parts.towers import Adapter, dropped

LABEL = "DualPath"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
DEFAULTS = {"grid": 4, "dropout": 0.1}

FULL_FRAMES = 8  # at full size
PLACES = ("space_attention", "space_mlp", "time_before", "time_after", "time_mlp")


def sine_table(length: int, width: int) -> Tensor:
    """Fixed positions (length, width): sines, then cosines, of falling frequencies."""
    rates = torch.exp(-math.log(10000.0) * torch.arange(width // 2) / (width // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class DualPath(nn.Module):
    """Five adapters a block, the positions of the path over time, and the head."""

    frame_positions_LW: Tensor

    def __init__(self, task: Task, grid: int, dropout: float) -> None:
        super().__init__()
        assert task.tower is not None
        self.tower, self.grid, self.dropout = task.tower, grid, dropout
        width, side, n_tokens = task.tower.width, task.tower.side, len(task.tower.positions())
        self.adapters: Any = nn.ModuleList(
            nn.ModuleDict({place: Adapter(width) for place in PLACES}) for _ in task.tower.blocks
        )
        self.positions_LW = nn.Parameter(width**-0.5 * torch.randn(n_tokens, width))
        cell_S = ((torch.arange(side) + 0.5) * grid / side).long()  # of the grid, in which a patch's centre lies
        number_P = (cell_S[:, None] * grid + cell_S).flatten()
        fixed = F.pad(sine_table(grid**2, width)[number_P], (0, 0, 1, 0))
        self.register_buffer("frame_positions_LW", fixed)
        self.widen, self.classifier = nn.Linear(2 * task.dim, task.dim), nn.Linear(task.dim, task.n_classes)

    def encode_draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The numbers of each adapter's dropout."""
        narrow = self.adapters[0][PLACES[0]].down.out_features
        return {"dropout_BI5A": torch.rand(n_clips, len(self.adapters), len(PLACES), narrow, generator=rng)}

    def grids(self, clips_BTSS3: Tensor) -> Tensor:
        """Sets of consecutive frames as one picture each, (B, T / grid^2, S, S, 3), values 0 to 255."""
        g, size = self.grid, clips_BTSS3.shape[2]
        small = F.avg_pool2d(clips_BTSS3.flatten(0, 1).permute(0, 3, 1, 2).float(), g)  # (B T, 3, S / g, S / g)
        cells = small.unflatten(0, (len(clips_BTSS3), -1, g, g))  # rows and columns of a picture, in reading order
        pictures = cells.permute(0, 1, 2, 5, 3, 6, 4).flatten(4, 5).flatten(2, 3)
        assert pictures.shape[2] == pictures.shape[3] == size
        return pictures

    def encode(self, clips_BTSS3: Tensor, draws: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Clips to features of the 8 frames (B, 8, D) and of the grids (B, T / grid^2, D)."""
        every = max(1, clips_BTSS3.shape[1] // FULL_FRAMES)
        space, time = clips_BTSS3[:, ::every][:, :FULL_FRAMES], self.grids(clips_BTSS3)
        masks = None if draws is None else draws["dropout_BI5A"]
        own = self.positions_LW + self.frame_positions_LW
        return {
            "space": self._path(space, None, ("space_attention", "space_mlp"), masks),
            "time": self._path(time, own, ("time_before", "time_after", "time_mlp"), masks),
        }

    def _path(
        self, pictures_BNSS3: Tensor, positions: Tensor | None, places: tuple[str, ...], masks: Tensor | None
    ) -> Tensor:
        n = pictures_BNSS3.shape[1]
        x_BNLW = self.tower.tokens(pictures_BNSS3.flatten(0, 1), positions).unflatten(0, (-1, n))
        x_BNLW, step = self.tower.norm_in(x_BNLW), self._space if len(places) == 2 else self._time
        for i in range(len(self.adapters)):
            of_block = None if masks is None else masks[:, i]
            x_BNLW = self.tower.run(partial(step, i), x_BNLW, of_block)
        return self.tower.project(self.tower.norm_out(x_BNLW[:, :, 0])).float()

    def _adapt(self, i: int, place: str, x: Tensor, masks_B5A: Tensor | None) -> Tensor:
        adapter = self.adapters[i][place]
        mask = None if masks_B5A is None else masks_B5A[:, PLACES.index(place), None, None]
        return adapter.up(dropped(F.gelu(adapter.down(x)), mask, self.dropout))

    def _space(self, i: int, x: Tensor, masks: Tensor | None) -> Tensor:
        block = self.tower.blocks[i]
        y = block.norm1(x)
        x = x + block.attend(y) + self._adapt(i, "space_attention", y, masks)
        y = block.norm2(x)
        return x + block.feed(y) + self._adapt(i, "space_mlp", y, masks)

    def _time(self, i: int, x: Tensor, masks: Tensor | None) -> Tensor:
        block = self.tower.blocks[i]
        y = block.attend(self._adapt(i, "time_before", block.norm1(x), masks))
        x = x + self._adapt(i, "time_after", y, masks)
        return x + self._adapt(i, "time_mlp", block.feed(block.norm2(x)), masks)

    def forward(self, encoded: dict[str, Tensor]) -> Output:
        """Features of both paths to logits (B, C)."""
        joined_BD2 = torch.cat([encoded["time"].mean(dim=1), encoded["space"].mean(dim=1)], dim=1)
        fused_BD = F.gelu(self.widen(joined_BD2))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """All that is new; the tower is frozen."""
        return [(list(self.parameters()), 1.0)]


def resolve(options: dict, n_steps: int) -> dict:
    """The options; the grid is 2 x 2 where the clip does not fill pictures of 4 x 4 frames."""
    return {**DEFAULTS, "grid": 2 if n_steps % 16 else 4, **options}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, grid: int, dropout: float) -> DualPath:
    """The method with pictures of `grid` x `grid` frames.

    Raises:
        ConfigError: such pictures do not divide the clip or the frame's side.
    """
    assert task.tower is not None
    size = task.tower.side * task.tower.patch_px
    if grid < 1 or task.n_steps % grid**2 or size % grid:
        raise ConfigError(
            f"params.yaml: dual_path: pictures of {grid} x {grid} frames do not divide clips of {task.n_steps} frames "
            f"of {size} pixels; choose another methods.dual_path.grid"
        )
    return DualPath(task, grid, dropout)
