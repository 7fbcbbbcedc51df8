"""The uncertainty of a dev score: its standard error over draws and dev groups, and whether two trials differ.

A trial answers the dev videos of one or several datasets, once for each draw. Draws and groups are crossed: another
draw would change the answers of every group, and another group the answers of every draw. Without groups, each video
counts as one. Shapes: R draws, N videos, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

LEVEL = 0.05  # probability that any rate that is as good as the best is called worse


@dataclass(frozen=True)
class DevScore:
    """A mean in percent (or a difference in points), its standard error, and the degrees of freedom of that error. With
    fewer than two groups or two draws the error is unknown and None.
    """

    mean: float
    error: float | None
    freedom: float


def of_groups(answers_RN: np.ndarray, groups_N: np.ndarray) -> np.ndarray:
    """Answers, or differences of answers, of single videos -> one value per draw and group (R, G), whose mean over
    groups is the mean over videos.

    Groups differ in size, so each group is represented by its contribution to the mean: a group with n of N videos and
    a mean of m in a draw gives `mean + n G / N (m - mean)`, the linearised ratio of sums (Cochran, Sampling Techniques,
    1977, ch. 6).
    """
    _, group_N = np.unique(groups_N, return_inverse=True)
    member_NG = group_N[:, None] == np.arange(group_N.max() + 1)
    mean = answers_RN.mean()
    excess_RG = (answers_RN - mean) @ member_NG
    return mean + excess_RG * member_NG.shape[1] / len(groups_N)


def dev_score(answers: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> DevScore:
    """The mean over datasets of the mean over draws and videos, in percent. Each dataset has one (R, N) array of
    answers (0, 1; or their differences) and one (N,) array of group names.

    The variance of a dataset's mean is `draws / R + groups / G + draws x groups / (R G)`, from the mean squares of a
    two-way analysis with crossed random effects; a component with a negative estimate counts as zero. Degrees of
    freedom: Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    parts, means, known = [], [], True
    for answers_RN, groups_N in zip(answers, groups, strict=True):
        means.append(answers_RN.mean())
        found = _variances(of_groups(answers_RN.astype(float), groups_N))
        parts += [(variance / len(answers) ** 2, freedom) for variance, freedom in found]
        known = known and bool(found)
    total = sum(variance for variance, _ in parts)
    squares = sum(variance**2 / freedom for variance, freedom in parts)
    error = 100.0 * float(np.sqrt(total)) if known else None
    return DevScore(100.0 * float(np.mean(means)), error, float(total**2 / squares) if squares else 1.0)


def _variances(values_RG: np.ndarray) -> list[tuple[float, int]]:
    """Components of the variance of the mean of all values, each with its degrees of freedom; empty if they are
    unknown.
    """
    n_draws, n_groups = values_RG.shape
    n = n_draws * n_groups
    mean = values_RG.mean()
    draws, groups = values_RG.mean(axis=1) - mean, values_RG.mean(axis=0) - mean
    if n_groups < 2:
        return [(float((draws**2).sum()) / (n_draws - 1) / n_draws, n_draws - 1)] if n_draws > 1 else []
    of_groups = n_draws * float((groups**2).sum()) / (n_groups - 1)
    if n_draws < 2:
        return [(of_groups / n, n_groups - 1)]
    rest = values_RG - mean - draws[:, None] - groups
    crossed = float((rest**2).sum()) / ((n_draws - 1) * (n_groups - 1))
    of_draws = n_groups * float((draws**2).sum()) / (n_draws - 1)
    return [(max(of_draws - crossed, 0.0) / n, n_draws - 1), (max(of_groups, crossed) / n, n_groups - 1)]


def separable(difference: DevScore, comparisons: int) -> bool:
    """Whether a paired difference is distinguishable from zero by a two-sided t test at `LEVEL`, divided by the number
    of comparisons with the best (Bonferroni). A difference of unknown error is not.
    """
    if difference.error is None or difference.mean == 0:
        return False
    if difference.error == 0:
        return True
    p = 2 * stdtr(difference.freedom, -abs(difference.mean) / difference.error)
    return bool(p * comparisons < LEVEL)
