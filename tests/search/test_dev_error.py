"""The error of dev scores: against sums written out, against simulated worlds, and what it says of two trials."""

import numpy as np
import pytest

from vidprism.search.dev_error import dev_score, of_groups, separable


def by_hand(values: np.ndarray) -> float:
    """Variance of the mean from the expected mean squares of crossed draws and groups, in loops."""
    n_draws, n_groups = values.shape
    mean = values.mean()
    draws = sum(n_groups * (row.mean() - mean) ** 2 for row in values) / (n_draws - 1)
    groups = sum(n_draws * (column.mean() - mean) ** 2 for column in values.T) / (n_groups - 1)
    crossed = sum(
        (values[r, g] - values[r].mean() - values[:, g].mean() + mean) ** 2
        for r in range(n_draws)
        for g in range(n_groups)
    ) / ((n_draws - 1) * (n_groups - 1))
    of_draws, of_groups = max((draws - crossed) / n_groups, 0), max((groups - crossed) / n_draws, 0)
    return of_draws / n_draws + of_groups / n_groups + crossed / (n_draws * n_groups)


@pytest.mark.parametrize("seed", range(5))
def test_variances_of_draws_and_groups_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers = (rng.random((4, 30)) < rng.random(30)).astype(float)
    found = dev_score([answers], [np.arange(30)])
    assert found.mean == pytest.approx(100 * answers.mean())
    assert found.error == pytest.approx(100 * np.sqrt(by_hand(answers)))


def test_videos_of_a_group_count_as_one() -> None:
    """Four copies of each video say no more than one, and unequal groups keep the mean over videos."""
    answers = (np.random.default_rng(0).random((1, 20)) < 0.6).astype(float)
    alone, copied = dev_score([answers], [np.arange(20)]), np.repeat(np.arange(20), 4)
    fourfold = dev_score([answers[:, copied]], [copied])
    assert fourfold.error == pytest.approx(alone.error) and fourfold.mean == pytest.approx(alone.mean)
    assert dev_score([answers[:, copied]], [np.arange(80)]).error < 0.6 * alone.error
    uneven = np.array(["a", "a", "a", "b", "c"])
    values = of_groups(np.array([[1.0, 1, 0, 1, 0]]), uneven)
    assert values.shape == (1, 3) and values.mean() == pytest.approx(0.6)


def test_one_draw_or_one_group_has_what_can_be_known() -> None:
    answers = np.array([[1.0, 0, 1, 1]])
    assert dev_score([answers], [np.arange(4)]).error == pytest.approx(100 * answers.std(ddof=1) / 2)
    assert dev_score([answers], [np.zeros(4)]).error is None
    draws = np.array([[1.0, 1], [0, 1], [0, 0]])
    assert dev_score([draws], [np.zeros(2)]).error == pytest.approx(50 / np.sqrt(3))


def test_datasets_weigh_the_same() -> None:
    rng = np.random.default_rng(1)
    answers = [(rng.random((3, n)) < p).astype(float) for n, p in ((40, 0.3), (10, 0.8))]
    groups = [np.arange(40), np.arange(10)]
    one, two = (dev_score([a], [g]) for a, g in zip(answers, groups, strict=True))
    both = dev_score(answers, groups)
    assert both.mean == pytest.approx((one.mean + two.mean) / 2)
    assert both.error == pytest.approx(np.hypot(one.error, two.error) / 2)


def test_what_is_separable() -> None:
    same, better = np.zeros((3, 50)), np.ones((3, 50))
    rng = np.random.default_rng(2)
    videos, noise = np.arange(50), rng.choice([-1.0, 0, 1], (3, 50))
    assert not separable(dev_score([same], [videos]), 1) and separable(dev_score([better], [videos]), 1)
    assert not separable(dev_score([noise], [videos]), 1)
    clear = np.where(rng.random((3, 50)) < 0.3, 1.0, 0.0)
    assert separable(dev_score([clear], [videos]), 3)
    assert not separable(dev_score([clear], [videos]), 10**12), "more comparisons ask for more"
    assert not separable(dev_score([better[:1]], [np.zeros(50)]), 1), "of one draw and one group no error is known"


@pytest.mark.parametrize("draw_sd", [0.05, 0.3])
def test_equal_trials_are_seldom_told_apart(draw_sd: float) -> None:
    """400 worlds with 3 draws and 40 unequal groups in each of four datasets: one in twenty, as the level says."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        answers, groups = [], []
        for _ in range(4):
            of_group = np.repeat(np.arange(40), rng.integers(1, 7, 40))
            hard, own = rng.normal(0, 1, 40), rng.normal(0, 0.5, (2, 40))
            a, b = (hard + own[k] + rng.normal(0, draw_sd, (3, 1)) for k in (0, 1))
            right = [rng.random((3, len(of_group))) < 1 / (1 + np.exp(-x[:, of_group])) for x in (a, b)]
            answers.append(right[0].astype(float) - right[1])
            groups.append(of_group)
        wrong += separable(dev_score(answers, groups), 1)
    assert 0.01 < wrong / 400 < 0.09
