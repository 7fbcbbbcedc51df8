"""Accuracy within pairs of opposites, the classes that only differ in the direction or rhythm of their motion. A method
that does not see the order of frames gets 50 % there, whatever it knows of objects.

Only the generated world says which classes are opposites (docs/world.md). Nothing here imports torch. Letters: N test
videos, C classes.
"""

from __future__ import annotations

import json

import numpy as np

from vidprism.config import Config, ConfigError, paths


def read_opposites(config: Config, dataset: str) -> dict[int, int]:
    """Label -> label of its opposite; empty if the dataset has none.

    Raises:
        ConfigError: the dataset has not been prepared, or an earlier version prepared it.
    """
    path = paths.manifest(config, dataset) / "opposites.json"
    if not path.is_file():
        raise ConfigError(f"'{path}' does not exist; run the prepare stage of {dataset} again")
    return {int(label): other for label, other in json.loads(path.read_text(encoding="utf-8")).items()}


def right_within_pair(scores_NC: np.ndarray, labels_N: np.ndarray, opposite: dict[int, int]) -> np.ndarray:
    """Whether the score of a video's class is above that of its opposite, bool (N,). A tie counts as wrong. Every label
    needs an opposite.
    """
    other_N = np.array([opposite[int(label)] for label in labels_N], dtype=int)
    rows_N = np.arange(len(labels_N))
    return scores_NC[rows_N, labels_N] > scores_NC[rows_N, other_N]
