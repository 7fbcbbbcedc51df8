"""Logistic regression on the mean frame and the half difference: the second half's mean minus the first half's.

The half difference changes its sign when a video is reversed. The order of the frames within a half has no effect.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidprism.methods import Task
from vidprism.methods._parts.regression import Regression, batch_terms

LABEL = "Logistic regression on half means"
SEARCHED = "c"
DEFAULTS: dict = {}

__all__ = ["DEFAULTS", "LABEL", "SEARCHED", "batch_terms", "build"]


def build(task: Task) -> Regression:
    """The regression for the task's width and classes.

    Raises:
        ConfigError: a clip has a single time step.
    """
    return Regression(task, _summary, n_parts=2)


def _summary(frames_BTD: Tensor) -> Tensor:
    """(B, T, D) -> (B, 2 D). With an odd T, the middle frame belongs to neither half."""
    half = frames_BTD.shape[1] // 2
    difference_BD = frames_BTD[:, -half:].mean(dim=1) - frames_BTD[:, :half].mean(dim=1)
    return torch.cat([frames_BTD.mean(dim=1), difference_BD], dim=-1)
