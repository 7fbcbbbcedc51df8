"""What the pre-training of the small VideoMAE is worth: a linear probe on it against one on the untrained network."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidprism.evaluation import stats


def compare_probes(answered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per dataset: the two dev accuracies in percent, their difference with its paired interval over the groups of dev
    videos (each network was trained once), and whether the trained network is better by more than the interval.

    Args:
        answered: the result of `vidprism.pretraining.videomae.probe_answers`.
    """
    found = []
    for probe in answered:
        trained, untrained = (_bits(probe[key]) for key in ("trained_right", "untrained_right"))
        difference = stats.paired(trained[None], untrained[None], np.array(probe["groups"]))
        numbers = {
            "trained": 100 * trained.mean(),
            "untrained": 100 * untrained.mean(),
            "difference": difference.difference,
            "ci95_low": difference.low,
            "ci95_high": difference.high,
        }
        rounded = {key: round(float(value), 2) for key, value in numbers.items()}
        counts = {"n": len(trained), "n_groups": difference.mean.n_groups}
        found.append({"dataset": probe["dataset"], **rounded, **counts, "better": difference.low > 0})
    return found


def _bits(text: str) -> np.ndarray:
    return np.array(list(text), dtype=np.int8)
