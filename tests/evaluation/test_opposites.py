"""Accuracy within pairs of opposites, against values worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_store import small_config
from vidprism.config import ConfigError
from vidprism.evaluation.evaluate import _within_pairs
from vidprism.evaluation.opposites import read_opposites, right_within_pair

SCORES_NC = np.array([[0.1, 0.0, 9.0], [0.4, 0.3, 0.0], [0.0, 0.2, 0.1], [0.5, 0.5, 0.0]])
LABELS_N = np.array([0, 1, 1, 0])


def test_only_the_two_classes_of_the_pair_compete() -> None:
    right_N = right_within_pair(SCORES_NC, LABELS_N, {0: 1, 1: 0})
    assert right_N.tolist() == [True, False, True, False], "the third class does not matter, and a tie is wrong"


def test_videos_without_an_opposite_and_unreadable_ones_are_left_out() -> None:
    labels_N = np.array([0, 1, 2, 1])
    readable = np.array([True, True, False, True, True])
    found = _within_pairs(SCORES_NC[None], labels_N, readable, {0: 1, 1: 0}, None)
    assert found is not None and found["mean"] == pytest.approx(100 / 3, abs=1e-3) and found["n_groups"] == 3
    assert _within_pairs(SCORES_NC[None], labels_N, readable, {}, None) is None


def test_without_the_file_the_stage_to_run_is_named(tmp_path: Path) -> None:
    config = replace(small_config(tmp_path), root_dir=tmp_path)
    with pytest.raises(ConfigError, match="prepare stage of ucf101"):
        read_opposites(config, "ucf101")
