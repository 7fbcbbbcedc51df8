"""Logistic regression on the concatenation of all frames: each frame has weights of its own.

It has T times the weights of a linear probe, and any change of the order of the frames changes its input.
"""

from __future__ import annotations

from torch import Tensor

from vidprism.methods import Task
from vidprism.methods._parts.regression import Regression, batch_terms

LABEL = "Logistic regression on all frames"
SEARCHED = "c"
DEFAULTS: dict = {}

__all__ = ["DEFAULTS", "LABEL", "SEARCHED", "batch_terms", "build"]


def build(task: Task) -> Regression:
    """The regression for the task's width, classes and time steps.

    Raises:
        ConfigError: a clip has a single time step.
    """
    return Regression(task, _summary, n_parts=task.n_steps)


def _summary(frames_BTD: Tensor) -> Tensor:
    """(B, T, D) -> (B, T D)."""
    return frames_BTD.flatten(1)
