"""STAN: a branch beside the last blocks of the image tower that models space and time, and joins the class tokens.

Source: Liu et al., "Revisiting Temporal Modeling for CLIP-based Image-to-Video Knowledge Transferring", CVPR 2023,
Section 3, and the settings of github.com/farewellthree/STAN (Apache-2.0). `time: attention` follows that code. The row
of Table 1 is of the variant with a 3 x 3 x 3 convolution (`time: conv`), whose code is not public: the row is a
re-implementation from the paper. Each part over time ends in a linear map of zeros; the parts over space begin as
copies of the tower's blocks. The released recipe is for retrieval; here the loss is the cross-entropy of the scaled
cosine to the frozen class texts, a choice of this suite. The branch is four blocks deep, or half of a tower that has
fewer than eight.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task, TowerBlock
from vidprism.methods._parts.texts import cosines
from vidprism.methods._parts.towers import dropped, frame_tokens, run_block

LABEL = "STAN-conv (re-implemented)"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
DEFAULTS = {"time": "conv", "depth": 4, "drop_path": 0.1}

TOWER_RATE = 0.1  # over the rate of the branch
TIMES = 64  # rows of the table over time


class OverTime(nn.Module):
    """Patches exchange over time, by attention at each place or by a convolution, then a linear map of zeros."""

    def __init__(self, width: int, heads: int, kind: str, side: int) -> None:
        super().__init__()
        self.side, self.norm, self.attention, self.convolution = side, None, None, None
        if kind == "attention":
            self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.convolution = nn.Conv3d(width, width, kernel_size=3, padding=1)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_BTPW: Tensor) -> Tensor:
        """The change of the patches, (B, T, P, W) to the same shape."""
        if self.convolution is not None:
            grid_BWTYX = x_BTPW.unflatten(2, (self.side, self.side)).permute(0, 4, 1, 2, 3)
            return self.out(self.convolution(grid_BWTYX).permute(0, 2, 3, 4, 1).flatten(2, 3))
        assert self.norm is not None and self.attention is not None
        sequences = self.norm(x_BTPW).transpose(1, 2).flatten(0, 1)
        mixed = self.attention(sequences, sequences, sequences, need_weights=False)[0]
        return self.out(mixed.unflatten(0, (len(x_BTPW), -1)).transpose(1, 2))


class Stan(nn.Module):
    """The branch; the tower belongs to the backbone and trains at a tenth of its rate."""

    text_CD: Tensor

    def __init__(self, task: Task, text_features_CD: Tensor, time: str, depth: int, drop_path: float) -> None:
        super().__init__()
        assert task.tower is not None
        self.tower, self.logit_scale = task.tower, task.logit_scale
        self.register_buffer("text_CD", F.normalize(text_features_CD.float(), dim=-1))
        width, heads, blocks = task.tower.width, task.tower.heads, task.tower.blocks
        depth = min(depth, len(blocks) // 2)
        self.first = len(blocks) - depth  # of the blocks that the branch runs beside
        self.times_TW = nn.Parameter(torch.randn(TIMES, width))
        self.over_time = nn.ModuleList(OverTime(width, heads, time, task.tower.side) for _ in range(depth))
        self.over_space: list[TowerBlock] = [block.copy() for block in blocks[self.first :]]
        self.over_space_modules = nn.ModuleList(block.module for block in self.over_space)  # where parameters are found
        self.drop_paths = [drop_path * j / max(1, depth - 1) for j in range(depth)]

    def encode_draws(self, rng: torch.Generator, n_clips: int) -> dict[str, Tensor]:
        """The numbers of the drop-path over time and the two over space, in each block of the branch."""
        return {"paths_BJ3": torch.rand(n_clips, len(self.over_space), 3, generator=rng)}

    def encode(self, clips_BTSS3: Tensor, draws: dict[str, Tensor] | None = None) -> Tensor:
        """Clips to frame features (B, T, D), to which the branch has added its class token."""
        n_steps = clips_BTSS3.shape[1]
        x_BTLW = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3)).unflatten(0, (-1, n_steps))
        branch: tuple[Tensor, Tensor] | None = None
        for i, block in enumerate(self.tower.blocks):
            x_BTLW = self.tower.run(partial(run_block, block), x_BTLW)
            j = i - self.first
            if j >= 0:
                branch = self._joined(branch, x_BTLW)
                paths_B3 = None if draws is None else draws["paths_BJ3"][:, j]
                branch = self.tower.run(partial(self._branch, j), *branch, paths_B3)
        assert branch is not None
        class_tokens_BTW = x_BTLW[:, :, 0] + branch[0][:, None]
        return self.tower.project(self.tower.norm_out(class_tokens_BTW)).float()

    def _joined(self, branch: tuple[Tensor, Tensor] | None, x_BTLW: Tensor) -> tuple[Tensor, Tensor]:
        """The branch's class token (B, W) and patches (B, T, P, W) with what a block of the tower adds to them."""
        g_BW, patches_BTPW = x_BTLW[:, :, 0].mean(dim=1), x_BTLW[:, :, 1:]
        if branch is not None:
            return branch[0] + g_BW, branch[1] + patches_BTPW
        positions_LW, times_TW = self.tower.positions(), self.times_TW[: x_BTLW.shape[1]]
        g_BW = (g_BW + self.tower.class_token() + positions_LW[0]) / 2
        return g_BW, patches_BTPW + positions_LW[1:] + times_TW[:, None]

    def _branch(self, j: int, g_BW: Tensor, patches_BTPW: Tensor, paths_B3: Tensor | None) -> tuple[Tensor, Tensor]:
        block, drop, n_steps = self.over_space[j], self.drop_paths[j], patches_BTPW.shape[1]
        path = [None] * 3 if paths_B3 is None else [paths_B3[:, n, None, None, None] for n in range(3)]
        patches_BTPW = patches_BTPW + dropped(self.over_time[j](patches_BTPW), path[0], drop)
        g_BT1W = g_BW[:, None, None].expand(-1, n_steps, 1, -1)
        mixed = block.attend(block.norm1(torch.cat([g_BT1W, patches_BTPW], dim=2)))
        mean_BT1W = mixed[:, :, :1].mean(dim=1, keepdim=True).expand(-1, n_steps, -1, -1)
        mixed = torch.cat([mean_BT1W, mixed[:, :, 1:]], dim=2)
        x_BTLW = torch.cat([g_BT1W, patches_BTPW], dim=2) + dropped(mixed, path[1], drop)
        x_BTLW = x_BTLW + dropped(block.feed(block.norm2(x_BTLW)), path[2], drop)
        return x_BTLW[:, 0, 0], x_BTLW[:, :, 1:]  # the class token is the same in all frames

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features to logits (B, C): the scaled cosine of their mean and the class texts."""
        fused_BD = features_BTD.mean(dim=1)
        return Output(self.logit_scale * cosines(fused_BD, self.text_CD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """The branch, and the tower at a tenth of its rate."""
        return [(list(self.parameters()), 1.0), (list(self.tower.module.parameters()), TOWER_RATE)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, time: str, depth: int, drop_path: float) -> Stan:
    """The method with a branch of `depth` blocks and `time` "attention" or "conv".

    Raises:
        ConfigError: another `time`, a depth below 1, more frames than rows of the table, or no class texts.
    """
    if task.text_features_CD is None:
        raise ConfigError("params.yaml: stan needs class texts, which this backbone does not have; give it a CLIP")
    if time not in ("attention", "conv") or depth < 1:
        raise ConfigError(f"params.yaml: stan: time must be attention or conv and depth 1 or more, not {time}, {depth}")
    if task.n_steps > TIMES:
        raise ConfigError(f"params.yaml: stan has {TIMES} positions, and the clips have {task.n_steps} frames")
    return Stan(task, task.text_features_CD, time, depth, drop_path)
