"""The report about what was learned, on features with a known answer."""

import numpy as np
import pytest

from vidprism.evaluation.clip_check import PooledVideos, dataset_facts, wilson

NAMES = ["Moving [something] down", "Moving [something] up", "Shaking [something] fast"]
OPPOSITE = {NAMES[0]: NAMES[1], NAMES[1]: NAMES[0]}


def _videos(seed: int, apart: float) -> PooledVideos:
    """The third class has its own axis; the first two differ by `apart` along the first axis only."""
    rng, y = np.random.default_rng(seed), np.repeat([0, 1, 2], 60)
    x = rng.normal(0, 0.1, (180, 4)).astype(np.float32)
    x[y == 0, 0] += apart
    x[y == 2, 2] += 1
    return PooledVideos(x, y)


def _facts(apart: float) -> dict:
    return dataset_facts(_videos(0, apart), _videos(1, apart), np.eye(4, dtype=np.float32)[:3], NAMES, OPPOSITE)


def test_stills_that_do_not_tell_motion() -> None:
    facts = _facts(0.0)
    assert [p["classes"] for p in facts["pairs"]] == [NAMES[:2]]
    assert facts["pairs"][0]["mean_pool"]["guesses"] and facts["pairs"][0]["zero_shot"]["guesses"]
    assert facts["all_pairs"]["mean_pool"]["n"] == 120
    assert facts["tellable_from_stills"] == NAMES, "a pair is told from the rest, though not from its opposite"


def test_a_leak_shows() -> None:
    facts = _facts(1.0)
    assert facts["pairs"][0]["mean_pool"]["top1"] > 95 and not facts["pairs"][0]["mean_pool"]["guesses"]
    assert facts["zero_shot"]["times_chance"] > 2 and facts["zero_shot"]["chance"] == pytest.approx(33.33)


def test_pair_intervals_hold_together() -> None:
    """Two pairs and two scores are four looks: each pair's interval is a 98.75 % one."""
    names, opposite = ["a", "b", "c", "d"], {"a": "b", "b": "a", "c": "d", "d": "c"}
    y = np.repeat([0, 1, 2, 3], 60)
    x = np.random.default_rng(0).normal(0, 1, (240, 4)).astype(np.float32)
    x[y == 0, 0] += 0.5
    facts = dataset_facts(PooledVideos(x, y), PooledVideos(x, y), np.eye(4, dtype=np.float32), names, opposite)
    for pair in facts["pairs"]:
        for key in ("zero_shot", "mean_pool"):
            score = pair[key]
            low, high = wilson(round(score["top1"] * score["n"] / 100), score["n"], 1 - 0.05 / 4)
            assert (score["ci95_low"], score["ci95_high"]) == pytest.approx((low, high), abs=0.01)
            assert score["guesses"] == (low <= 50 <= high)
    score = facts["all_pairs"]["zero_shot"]
    low, _ = wilson(round(score["top1"] * score["n"] / 100), score["n"])
    assert score["ci95_low"] == pytest.approx(low, abs=0.01)


def test_wilson_interval() -> None:
    low, high = wilson(5, 10)
    assert (low, high) == pytest.approx((23.66, 76.34), abs=0.01)  # Brown, Cai and DasGupta's formula by hand
    assert wilson(5, 10, 0.99) == pytest.approx((18.42, 81.58), abs=0.01)  # z = 2.5758
    assert wilson(0, 10)[0] == pytest.approx(0) and wilson(10, 10)[1] == pytest.approx(100)
