"""Intervals and paired tests against known answers, slow, literal versions and worlds whose truth is known."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests import interval_worlds
from vidprism.evaluation import stats


def test_answers() -> None:
    assert stats.answer_matrix(["10-", "01-"]).tolist() == [[1, 0, -1], [0, 1, -1]]
    for wrong in ([], ["10", "1"], ["12"], ["1é"]):
        with pytest.raises(ValueError, match="answer strings"):
            stats.answer_matrix(wrong)


def test_t_interval_against_scipy() -> None:
    values = [71.2, 70.4, 72.9, 69.8, 71.0]
    expected = scipy_stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert stats.t_interval(values) == pytest.approx(expected)
    assert stats.t_interval([3.0, 3.0]) == (3.0, 3.0)
    assert stats.t_interval([3.0]) is None


def _uneven(seed: int = 0, n_repeats: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Answers (R, V) and group numbers (V,) of 40 groups of 1 to 6 videos, in no order."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 7, 40)))
    ease, draws = rng.normal(0, 0.3, 40)[groups], rng.normal(0, 0.05, (n_repeats, 1))
    return (rng.random((n_repeats, len(groups))) < 0.5 + ease + draws).astype(np.int8), groups


def _slow_half_width(values: np.ndarray, groups: np.ndarray, alpha: float) -> tuple[float, float]:
    """Mean and half width in percent, term by term as in a table of the analysis of variance."""
    names, n_repeats = sorted(set(groups)), len(values)
    n_groups, mean = len(names), values.mean()
    table = [[sum(x - mean for x in row[groups == g]) * n_groups / len(groups) for g in names] for row in values]
    of_repeat = [np.mean(row) for row in table]
    of_group = [np.mean([row[j] for row in table]) for j in range(n_groups)]
    ms_r = n_groups * sum(x**2 for x in of_repeat) / (n_repeats - 1)
    ms_g = n_repeats * sum(x**2 for x in of_group) / (n_groups - 1)
    rest = [table[i][j] - of_repeat[i] - of_group[j] for i in range(n_repeats) for j in range(n_groups)]
    ms_rg = sum(x**2 for x in rest) / (n_repeats - 1) / (n_groups - 1)
    t_r, t_g = (scipy_stats.t.ppf(1 - alpha / 2, n - 1) for n in (n_repeats, n_groups))
    apart = max(t_r**2 * ms_r, t_g**2 * ms_g)
    squared = apart if ms_g <= ms_rg else t_r**2 * ms_r + t_g**2 * (ms_g - ms_rg)
    return 100 * mean, 100 * np.sqrt(squared / n_repeats / n_groups)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 26])
def test_half_width_against_slow_version(alpha: float) -> None:
    (a, groups), (b, _) = _uneven(0), _uneven(1)
    b = np.resize(b, a.shape)
    found = stats.accuracy(a, groups)
    assert (found.value, found.half_width(alpha)) == pytest.approx(_slow_half_width(a, groups, alpha))
    assert (found.n_draws, found.n_groups) == (5, 40)
    difference = stats.paired(a, b, groups)
    mean, half = _slow_half_width(a.astype(float) - b, groups, alpha)
    assert (difference.difference, difference.mean.half_width(alpha)) == pytest.approx((mean, half))


def test_a_groups_variance_below_zero_leaves_the_wider_of_the_two() -> None:
    """Every group is answered wrong by exactly one repeat, more of them by the later ones: only the draws differ."""
    groups = np.repeat(np.arange(30), 2)
    by = np.repeat(np.arange(5), [2, 4, 6, 8, 10])
    values = (by[groups] != np.arange(5)[:, None]).astype(np.int8)
    found = stats.accuracy(values, groups)
    assert found.error_groups == 0 < found.error_least
    assert (found.value, found.half_width()) == pytest.approx(_slow_half_width(values.astype(float), groups, 0.05))


def test_one_draw_is_students_t_over_groups() -> None:
    """Groups of one size: the interval of the groups' means. Repeats that are equal count once."""
    answers = (np.random.default_rng(0).random((1, 120)) < 0.6).astype(np.int8)
    groups = np.arange(120) // 4
    low, high = stats.t_interval(100 * answers.reshape(30, 4).mean(axis=1))
    for given in (answers, np.repeat(answers, 5, axis=0)):
        found = stats.accuracy(given, groups)
        assert found.interval == pytest.approx((low, high)) and (found.n_draws, found.n_groups) == (1, 30)
        assert stats.single_factor(given, groups)[1] == pytest.approx((low, high))
    test = scipy_stats.ttest_1samp(answers.reshape(30, 4).mean(axis=1), 0)
    assert stats.paired(answers, 0 * answers, groups).p == pytest.approx(test.pvalue, rel=1e-6)


def test_copies_of_a_video_in_its_group_add_no_knowledge() -> None:
    """Every video four times: four times the videos, and no more knowledge."""
    rng = np.random.default_rng(0)
    answers = ((rng.random(80) < 0.6) ^ (rng.random((5, 80)) < 0.05)).astype(np.int8)
    copies, groups = np.repeat(answers, 4, axis=1), np.repeat(np.arange(80), 4)
    assert stats.accuracy(copies, groups).interval == pytest.approx(stats.accuracy(answers).interval)
    assert stats.accuracy(copies).half_width() < 0.8 * stats.accuracy(answers).half_width()


def test_single_factors_leave_the_other_doubt_out() -> None:
    answers, groups = _uneven(3)
    draws, of_groups = stats.single_factor(answers, groups)
    assert draws == stats.t_interval(100 * answers.mean(axis=1))
    assert of_groups == pytest.approx(stats.accuracy(answers, groups).value + np.array([-1, 1]) * 9.5, abs=3)
    assert stats.single_factor(answers[:1], groups)[0] is None


def test_p_belongs_to_the_interval() -> None:
    (a, groups), (b, _) = _uneven(4), _uneven(5)
    found = stats.paired(a, np.resize(b, a.shape), groups)
    assert found.mean.half_width(found.p) == pytest.approx(abs(found.difference))
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert found.mean.smallest_separable(26) == pytest.approx(found.mean.half_width(0.05 / 26))


def test_unreadable_videos_are_left_out() -> None:
    matrix, groups = stats.answer_matrix(["1110-1", "111001"]), np.array([0, 0, 1, 1, 2, 3])
    kept = [0, 1, 2, 3, 5]
    assert stats.accuracy(matrix, groups) == stats.accuracy(matrix[:, kept], groups[kept])
    with pytest.raises(ValueError, match="no test video is readable"):
        stats.accuracy(stats.answer_matrix(["--"]))
    other = stats.answer_matrix(["-10101", "010101"])
    assert stats.paired(matrix, other) == stats.paired(matrix[:, [1, 2, 3, 5]], other[:, [1, 2, 3, 5]])


def test_paired_known_cases() -> None:
    same = (np.random.default_rng(2).random((3, 50)) < 0.5).astype(np.int8)
    none = stats.paired(same, same)
    assert (none.difference, none.low, none.high, none.p, none.sign) == (0, 0, 0, 1, 0)
    ones, zeros = np.ones((3, 50), np.int8), np.zeros((3, 50), np.int8)
    all_better = stats.paired(ones, zeros)
    assert (all_better.difference, all_better.low, all_better.sign) == (100, 100, 1) and all_better.p < 1e-29
    assert stats.paired(zeros, ones).sign == -1
    assert stats.paired(ones[:1], zeros) == stats.paired(ones, zeros)
    one_group = stats.paired(same, 1 - same, np.zeros(50, int))
    assert (one_group.low, one_group.high, one_group.p) == (-100, 100, 1), "one group says nothing of others"


def test_pairing_sees_what_marginal_intervals_hide() -> None:
    """b is a, minus 8 of 100 videos in every repeat: inside each interval, yet far from zero when paired."""
    a = np.tile((np.arange(100) < 60).astype(np.int8), (5, 1))
    b = np.tile((np.arange(100) < 52).astype(np.int8), (5, 1))
    assert stats.accuracy(b).interval[1] > stats.accuracy(a).interval[0]
    assert stats.paired(a, b).low > 0


def test_paired_errors() -> None:
    a = np.ones((5, 10), np.int8)
    for b in (np.ones((5, 9), np.int8), np.ones((3, 10), np.int8)):
        with pytest.raises(ValueError, match="cannot pair answers"):
            stats.paired(a, b)
    with pytest.raises(ValueError, match="no video"):
        stats.paired(a, -a)
    with pytest.raises(ValueError, match="9 group numbers for 10 videos"):
        stats.paired(a, a, np.arange(9))


def test_holm_against_known_steps() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 (but no less than the one before) and 0.9 x 1."""
    assert stats.holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert stats.holm([0.5, 0.6]).tolist() == [1.0, 1.0] and stats.holm([]).size == 0
    many = np.random.default_rng(0).random((3, 7)) ** 3
    assert np.array_equal(stats.holm(many), [stats.holm(row) for row in many])


@pytest.mark.parametrize("case", [interval_worlds.CASES[3], interval_worlds.CASES[4]], ids=str)
def test_intervals_and_families_hold(case: interval_worlds.Case) -> None:
    """A few worlds; over videos instead of groups the intervals of a cell are far too narrow."""
    found = interval_worlds.simulate(case, 60)
    assert 93 <= found.cells <= 98 and 93 <= found.differences <= 98
    assert found.cells_by_video < 92 and found.tables <= 6 and found.bold <= 6


@pytest.mark.long
@pytest.mark.parametrize("case", interval_worlds.CASES, ids=str)
def test_intervals_and_families_hold_in_many_worlds(case: interval_worlds.Case) -> None:
    found = interval_worlds.simulate(case, 2000)
    assert 93 <= found.cells <= 97 and 93 <= found.differences <= 97
    assert found.tables <= 6 and found.bold <= 6


@pytest.mark.long
@pytest.mark.parametrize("case", interval_worlds.BEYOND, ids=str)
def test_families_hold_with_three_draws_and_with_rows_that_are_alike(case: interval_worlds.Case) -> None:
    found = interval_worlds.simulate(case, 2000)
    assert min(found.cells, found.differences) >= 93 and found.tables <= 6 and found.bold <= 6
