"""Intervals and paired comparisons of accuracies, in percent, over draws and groups of test videos at once.

Answers are a matrix (R repeats, V videos) of 1 (right), 0 (wrong) or -1 (unreadable video). Another draw (or
seed) would give another number, and so would other test videos. Test videos come in groups (cuts of one recording),
whose answers are similar, so the groups are the sampling unit; a video without a group is a group of its own.
Repeats and groups are crossed: every repeat answers every group. The sums over the groups, (R, G), become residuals
of the ratio estimator (groups differ in size), and their mean squares MS give the variance

    var(draws) / R + var(groups) / G + var(draws x groups) / (R G) = (MS_R + MS_G - MS_RG) / (R G).

MS_R rests on R - 1 degrees of freedom, a handful, and MS_G - MS_RG on about G - 1. Each part gets its own t quantile,

    half width^2 = t(R-1)^2 MS_R / (R G) + t(G-1)^2 (MS_G - MS_RG) / (R G),

which covers at least at its level for every mixture of the two. One t with Satterthwaite's degrees of freedom does not,
far out in the tails where Holm's first steps are: `tests/interval_worlds.py` tries both. Where MS_G - MS_RG is below
zero, the interval is the wider one of those over draws only and over groups only. Sources: S. R. Searle, G. Casella,
C. E. McCulloch, Variance Components, chapter 4 (two crossed random factors); W. G. Cochran, Sampling Techniques,
chapter 6 (ratio estimator); S. K. Banerjee, Sankhya 22, 1960 (the half width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
SMALLEST_P = 1e-30


@dataclass(frozen=True)
class Mean:
    """A mean in percent (or a difference of two, in points) with its standard errors. `error_draws` covers the draws
    and their interaction with groups, `error_groups` the groups. If the estimated variance of the groups is negative,
    `error_groups` is 0 and `error_least` is the error over groups only; otherwise `error_least` is 0. Values are
    numbers, or arrays of many worlds.

    `n_draws` is 1 if there is one repeat or all repeats are equal; then the interval is over groups only.
    """

    value: Any
    error_draws: Any
    error_groups: Any
    error_least: Any
    n_draws: int
    n_groups: int

    def half_width(self, alpha: float = 1 - LEVEL) -> Any:
        """Half of the interval that fails with a probability of at most `alpha`; infinite for one group."""
        draws, groups = (-stdtrit(max(n - 1, 1), alpha / 2) for n in (self.n_draws, self.n_groups))
        crossed = np.hypot(draws * self.error_draws, groups * self.error_groups)
        return np.maximum(crossed, groups * self.error_least)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of an accuracy in percent, limited to 0 and 100."""
        half = self.half_width()
        return float(max(0.0, self.value - half)), float(min(100.0, self.value + half))

    @property
    def p(self) -> Any:
        """Two-sided p of the mean being 0: the alpha whose half width is the mean itself, at least `SMALLEST_P`."""
        low, high = np.full_like(self.value, np.log(SMALLEST_P), dtype=float), np.zeros_like(self.value, dtype=float)
        for _ in range(50):
            middle = (low + high) / 2
            wide = self.half_width(np.exp(middle)) >= np.abs(self.value)
            low, high = np.where(wide, middle, low), np.where(wide, high, middle)
        return np.exp(high)

    def smallest_separable(self, n_tests: int) -> float:
        """The smallest difference, in points, that Holm's first step over `n_tests` tests would separate from 0."""
        return float(self.half_width((1 - LEVEL) / n_tests))


@dataclass(frozen=True)
class Comparison:
    """Accuracy of a minus accuracy of b in points, its 95 % interval and its two-sided p. A family of tests decides
    whether it is separable, see `holm`.
    """

    difference: float
    low: float
    high: float
    p: float
    mean: Mean

    @property
    def sign(self) -> int:
        """Sign of the difference: -1, 0 or 1, whether or not it is separable."""
        return int(np.sign(round(self.difference, 9)))


def answer_matrix(texts: Sequence[str]) -> np.ndarray:
    """Answer strings ('1' right, '0' wrong, '-' unreadable; one per repeat) -> int8 matrix (R, V) of 1, 0, -1.

    Raises:
        ValueError: no string, strings of different lengths, or another character.
    """
    if not texts or len({len(t) for t in texts}) != 1:
        raise ValueError(f"answer strings must be one or more of one length, not lengths {[len(t) for t in texts]}")
    if set().union(*texts) - set("01-"):
        raise ValueError(f"answer strings hold 1, 0 and - only, not {sorted(set().union(*texts) - set('01-'))}")
    codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(texts), -1)
    return np.where(codes == ord("-"), -1, codes.astype(np.int8) - ord("0")).astype(np.int8)


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Student's t interval of the mean of independent repeats; None for fewer than two."""
    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        return None
    half = stdtrit(len(x) - 1, 0.5 + level / 2) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)


def accuracy(correct: np.ndarray, groups: np.ndarray | None = None) -> Mean:
    """Accuracy in percent over draws and groups.

    Args:
        correct: (R, V) of 1, 0, -1; a video that any repeat could not read is left out.
        groups: (V,) group number of each video; None: each video is a group of its own.

    Raises:
        ValueError: no video that every repeat could read, or not one group number per video.
    """
    scored = np.all(correct >= 0, axis=0)
    if not scored.any():
        raise ValueError("no test video is readable, so there is no accuracy")
    return _mean(correct, scored, groups)


def single_factor(
    correct: np.ndarray, groups: np.ndarray | None = None
) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """The 95 % intervals of an accuracy over repeats only (None for one repeat) and over groups only (of the mean over
    repeats). Each ignores the other source of uncertainty. Arguments as in `accuracy`.
    """
    scored = np.all(correct >= 0, axis=0)
    of_video = correct.mean(axis=0, keepdims=True)
    return t_interval(100 * correct[:, scored].mean(axis=1)), _mean(of_video, scored, groups).interval


def paired(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Comparison:
    """Paired comparison of two methods on the same videos, over draws and groups.

    Repeat i of a is paired with repeat i of b (same seed, same draw). A side with one repeat (nothing in it is random)
    is compared with every repeat of the other. Videos that either side could not read are left out of both.

    Args:
        a, b: (R, V) of 1, 0, -1.
        groups: (V,) group number of each video; None: each video is a group of its own.

    Raises:
        ValueError: different videos, repeat counts that cannot be paired, no video both could read, or not one group
            number per video.
    """
    if a.shape[1] != b.shape[1] or (len(a) != len(b) and 1 not in (len(a), len(b))):
        raise ValueError(f"cannot pair answers of shape {a.shape} with {b.shape}: (repeats, videos) must agree")
    both = np.all(a >= 0, axis=0) & np.all(b >= 0, axis=0)
    if not both.any():
        raise ValueError("cannot pair: there is no video that both could read")
    mean = _mean(a.astype(np.int8) - b.astype(np.int8), both, groups)
    half = float(mean.half_width())
    low, high = max(-100.0, mean.value - half), min(100.0, mean.value + half)
    return Comparison(mean.value, low, high, 1.0 if mean.value == 0 else float(mean.p), mean)


def _mean(values_RV: np.ndarray, kept: np.ndarray, groups: np.ndarray | None) -> Mean:
    """The mean of `values` in percent over the kept videos."""
    values = values_RV[:, kept].astype(float)
    if groups is not None and len(groups) != len(kept):
        raise ValueError(f"there are {len(groups)} group numbers for {len(kept)} videos")
    of_video = np.arange(values.shape[1]) if groups is None else np.unique(groups[kept], return_inverse=True)[1]
    if (values == values[0]).all():
        values = values[:1]
    found = crossed(np.stack([np.bincount(of_video, row) for row in values]), np.bincount(of_video))
    value, draws, of_groups, least = map(float, (found.value, found.error_draws, found.error_groups, found.error_least))
    return Mean(value, draws, of_groups, least, found.n_draws, found.n_groups)


def crossed(sums_RG: np.ndarray, sizes_G: np.ndarray) -> Mean:
    """Means over videos with their standard errors, in percent, from sums per repeat and group.

    With a single group the error is infinite, because nothing is known about other groups.

    Args:
        sums_RG: (..., R, G) sums over the videos of a group; leading axes are worlds, also in the result.
        sizes_G: (G,) videos of each group.
    """
    n_repeats, n_groups = sums_RG.shape[-2:]
    mean = sums_RG.mean(axis=-2).sum(axis=-1) / sizes_G.sum()
    residuals = (sums_RG - mean[..., None, None] * sizes_G) * (n_groups / sizes_G.sum())
    of_repeat, of_group = residuals.mean(axis=-1), residuals.mean(axis=-2)
    within = residuals - of_repeat[..., None] - of_group[..., None, :]
    df_r, df_g = max(n_repeats - 1, 1), max(n_groups - 1, 1)
    square_r = n_groups * (of_repeat**2).sum(axis=-1) / df_r if n_repeats > 1 else np.zeros_like(mean)
    square_g = n_repeats * (of_group**2).sum(axis=-1) / df_g
    square_rg = (within**2).sum(axis=(-2, -1)) / (df_r * df_g)
    if n_groups == 1:
        square_g = np.full_like(mean, np.inf)
    positive = square_g > square_rg
    squares = square_r, np.where(positive, square_g - square_rg, 0), np.where(positive, 0, square_g)
    draws, groups, least = (100 * np.sqrt(square / (n_repeats * n_groups)) for square in squares)
    return Mean(100 * mean, draws, groups, least, n_repeats, n_groups)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p values of a family of tests, adjusted by Holm's steps (last axis); at most 1. Source: S. Holm, Scandinavian
    Journal of Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, axis=-1, kind="stable")
    steps = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(steps, axis=-1), 1), axis=-1)
    return adjusted
