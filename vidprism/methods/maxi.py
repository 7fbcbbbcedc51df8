"""MAXI: ViFi-CLIP's tuning, from towers that were tuned on unlabelled videos before.

Source: Lin et al., "MAtch, eXpand and Improve", ICCV 2023, Section 3, and the settings of github.com/wlin-at/MAXI (no
licence; facts only). The first stage is a pre-training (`vidprism.pretraining.maxi`): this method is MAXI only on a
backbone that comes from there. The second stage, here, is ViFi-CLIP's.
"""

from __future__ import annotations

from vidprism.methods import Task
from vidprism.methods.vifi_clip import (
    DEFAULTS,
    ON_JOINT,
    PROMPT_SET,
    SEES,
    STARTS_AS_BACKBONE,
    TEMPORAL,
    USES,
    ViFiClip,
    batch_terms,
)

__all__ = ["DEFAULTS", "ON_JOINT", "PROMPT_SET", "SEES", "STARTS_AS_BACKBONE", "TEMPORAL", "USES", "batch_terms"]

LABEL = "MAXI"
SEARCHED = "lr"
IS_PEER = True


def build(task: Task, label_smoothing: float) -> ViFiClip:
    """The method for the task."""
    return ViFiClip(task, label_smoothing)
