"""Intervals and paired tests against known answers and slow, literal versions."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vidprism import stats


def test_answers() -> None:
    assert stats.answers(["10-", "01-"]).tolist() == [[1, 0, -1], [0, 1, -1]]
    for wrong in ([], ["10", "1"], ["12"], ["1é"]):
        with pytest.raises(ValueError, match="answer strings"):
            stats.answers(wrong)


def test_t_interval_against_scipy() -> None:
    values = [71.2, 70.4, 72.9, 69.8, 71.0]
    expected = scipy_stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert stats.t_interval(values) == pytest.approx(expected)
    assert stats.t_interval([3.0, 3.0]) == (3.0, 3.0)
    assert stats.t_interval([3.0]) is None


def _slow_bootstrap(scores: np.ndarray, resamples: int) -> tuple[float, float]:
    rng = np.random.default_rng(5)
    means = [100 * scores[rng.integers(0, len(scores), len(scores))].mean() for _ in range(resamples)]
    return tuple(np.quantile(means, [0.025, 0.975]))


def test_bootstrap_videos_against_slow_version() -> None:
    matrix = (np.random.default_rng(0).random((5, 300)) < np.linspace(0.2, 0.95, 300)).astype(np.int8)
    fast = stats.bootstrap_videos(matrix, resamples=20000)
    assert fast == pytest.approx(_slow_bootstrap(matrix.mean(axis=0), 20000), abs=0.25)


def test_bootstrap_videos_against_binomial() -> None:
    """One repeat: the resampled mean is binomial, so its quantiles are known."""
    matrix = np.array([[1] * 140 + [0] * 60], dtype=np.int8)
    expected = scipy_stats.binom.ppf([0.025, 0.975], 200, 0.7) / 2
    assert stats.bootstrap_videos(matrix, resamples=40000) == pytest.approx(expected, abs=0.51)


def test_unreadable_videos_are_left_out() -> None:
    matrix = stats.answers(["1110-", "11100"])
    assert stats.bootstrap_videos(matrix) == stats.bootstrap_videos(matrix[:, :4])
    assert stats.bootstrap_videos(stats.answers(["--"])) is None
    other = stats.answers(["-1010", "01010"])
    assert stats.paired(matrix, other) == stats.paired(matrix[:, 1:4], other[:, 1:4])


def _slow_paired(a: np.ndarray, b: np.ndarray, resamples: int) -> tuple[float, float]:
    rng, differences = np.random.default_rng(3), a.astype(float) - b
    drawn = []
    for _ in range(resamples):
        repeats = rng.integers(0, len(differences), len(differences))
        videos = rng.integers(0, differences.shape[1], differences.shape[1])
        drawn.append(100 * differences[repeats][:, videos].mean())
    return tuple(np.quantile(drawn, [0.025, 0.975]))


def test_paired_against_slow_version() -> None:
    rng = np.random.default_rng(1)
    ease = rng.random(200)
    a, b = (rng.random((5, 200)) < ease).astype(np.int8), (rng.random((5, 200)) < ease - 0.1).astype(np.int8)
    found = stats.paired(a, b, resamples=8000)
    assert found.difference == pytest.approx(100 * (a.mean() - b.mean()))
    assert (found.low, found.high) == pytest.approx(_slow_paired(a, b, 8000), abs=0.35)


def test_paired_known_cases() -> None:
    same = (np.random.default_rng(2).random((3, 50)) < 0.5).astype(np.int8)
    none = stats.paired(same, same)
    assert (none.difference, none.low, none.high, none.separable, none.p, none.sign) == (0, 0, 0, False, 1, 0)
    ones, zeros = np.ones((3, 50), np.int8), np.zeros((3, 50), np.int8)
    all_better = stats.paired(ones, zeros)
    assert (all_better.difference, all_better.low, all_better.separable, all_better.sign) == (
        100,
        100,
        True,
        1,
    )
    assert stats.paired(zeros, ones).sign == -1
    assert stats.paired(ones[:1], zeros) == stats.paired(ones, zeros)


def test_pairing_sees_what_marginal_intervals_hide() -> None:
    """b is a, minus 4 of 100 videos in every repeat: far inside each interval over videos, yet separable
    when paired.
    """
    a = np.tile((np.arange(100) < 60).astype(np.int8), (5, 1))
    b = np.tile((np.arange(100) < 52).astype(np.int8), (5, 1))
    assert stats.bootstrap_videos(b)[1] > stats.bootstrap_videos(a)[0]
    assert stats.paired(a, b).separable


def test_paired_false_alarms_are_rare() -> None:
    """Two equally good methods: the test separates them in no more than about one of twenty trials."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        ease = np.clip(0.6 + rng.normal(0, 0.25, 150), 0, 1)
        shift = rng.normal(0, 0.03, (2, 5, 1))
        a, b = ((rng.random((5, 150)) < ease + s).astype(np.int8) for s in shift)
        alarms += stats.paired(a, b, resamples=400).separable
    assert alarms <= 16


def test_paired_errors() -> None:
    a = np.ones((5, 10), np.int8)
    for b in (np.ones((5, 9), np.int8), np.ones((3, 10), np.int8)):
        with pytest.raises(ValueError, match="cannot pair answers"):
            stats.paired(a, b)
    with pytest.raises(ValueError, match="no video"):
        stats.paired(a, -a)


def test_same_seed_same_interval() -> None:
    a = (np.random.default_rng(1).random((5, 80)) < 0.5).astype(np.int8)
    assert stats.paired(a, a[::-1]) == stats.paired(a, a[::-1])
    assert stats.bootstrap_videos(a) == stats.bootstrap_videos(a)
