"""Logistic regression on four numbers of each feature over time: mean, standard deviation, slope, mean absolute change.

The slope is that of the least-squares line over the frames, per frame, and changes its sign when a video is reversed.
The mean absolute change is that between neighbouring frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidprism.methods import Task
from vidprism.methods._parts.regression import Regression, batch_terms

LABEL = "Logistic regression on moments over time"
SEARCHED = "c"
DEFAULTS: dict = {}

__all__ = ["DEFAULTS", "LABEL", "SEARCHED", "batch_terms", "build"]


def build(task: Task) -> Regression:
    """The regression for the task's width and classes.

    Raises:
        ConfigError: a clip has a single time step.
    """
    return Regression(task, _summary, n_parts=4)


def _summary(frames_BTD: Tensor) -> Tensor:
    """(B, T, D) -> (B, 4 D)."""
    n_steps = frames_BTD.shape[1]
    time_T1 = torch.arange(n_steps, device=frames_BTD.device, dtype=frames_BTD.dtype)[:, None] - (n_steps - 1) / 2
    mean_BD, deviation_BD = frames_BTD.mean(dim=1), frames_BTD.std(dim=1, correction=0)
    slope_BD = (time_T1 * frames_BTD).sum(dim=1) / time_T1.square().sum()
    change_BD = frames_BTD.diff(dim=1).abs().mean(dim=1)
    return torch.cat([mean_BD, deviation_BD, slope_BD, change_BD], dim=-1)
