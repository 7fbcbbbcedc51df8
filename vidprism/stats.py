"""Intervals and paired comparisons of accuracies, in percent, over draws and groups of test videos at once.

Answers are a matrix (R repeats, V videos) of 1 (right), 0 (wrong) or -1 (unreadable video). Another draw (or
seed) would give another number, and so would other test videos. Test videos come in groups (cuts of one recording),
within which answers are alike, so the groups are what is sampled; a video without a group is a group of its own.
Repeats and groups are crossed: every repeat answers every group. The sums of the (R, G) table are turned into
residuals of the ratio estimator (groups differ in size), and their mean squares give the variance

    var(draws) / R + var(groups) / G + var(draws x groups) / (R G),

with Student's t and Satterthwaite's degrees of freedom. Sources: S. R. Searle, G. Casella, C. E. McCulloch, Variance
Components, chapter 4 (mean squares of two crossed random factors); W. G. Cochran, Sampling Techniques, chapter 6
(ratio estimator); F. E. Satterthwaite, Biometrics Bulletin 2, 1946. `tests/interval_worlds.py` simulates what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean in percent with its standard error (points), degrees of freedom and interval. `n_draws` is 1 where there
    is one repeat or all repeats are equal; then the interval is over groups only.
    """

    value: float
    error: float
    df: float
    low: float
    high: float
    n_draws: int
    n_groups: int


@dataclass(frozen=True)
class Comparison:
    """Accuracy of a minus accuracy of b in points: standard error, degrees of freedom, 95 % interval, and the two-sided
    p of the same t distribution. Whether it counts in a family of tests is for `holm` to say.
    """

    difference: float
    error: float
    df: float
    low: float
    high: float
    p: float
    n_draws: int
    n_groups: int

    @property
    def sign(self) -> int:
        """Sign of the difference: -1, 0 or 1 (says nothing about whether it is separable)."""
        return int(np.sign(round(self.difference, 9)))

    def smallest_separable(self, n_tests: int) -> float:
        """The smallest difference, in points, that Holm's first step over `n_tests` tests would separate from 0."""
        return float(stdtrit(self.df, 1 - (1 - LEVEL) / (2 * n_tests)) * self.error)


def answers(texts: Sequence[str]) -> np.ndarray:
    """Answer strings ('1' right, '0' wrong, '-' unreadable; one per repeat) -> int8 matrix (R, V) of 1, 0,
    -1.

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
    """Student's t interval of the mean of independent repeats; None for fewer than two, which have no
    interval.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return None
    half = stdtrit(len(values) - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def accuracy(correct: np.ndarray, groups: np.ndarray | None = None) -> Mean:
    """Accuracy in percent with its interval over draws and groups.

    Args:
        correct: (R, V) of 1, 0, -1; a video that any repeat could not read is left out.
        groups: (V,) group number of each video; None: each video is a group of its own.

    Raises:
        ValueError: no video that every repeat could read, or not one group number per video.
    """
    scored = (correct >= 0).all(axis=0)
    if not scored.any():
        raise ValueError("no test video is readable, so there is no accuracy")
    return _mean(correct, scored, groups, 0.0)


def paired(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Comparison:
    """Paired comparison of two methods on the same videos, over draws and groups.

    Repeat i of a is paired with repeat i of b (same seed, same draw). A side with one repeat (nothing in it
    is random) is set against every repeat of the other. Videos that either side could not read are left out
    of both.

    Args:
        a, b: (R, V) of 1, 0, -1.
        groups: (V,) group number of each video; None: each video is a group of its own.

    Raises:
        ValueError: different videos, repeat counts that cannot be paired, no video both could read, or not one group
            number per video.
    """
    if a.shape[1] != b.shape[1] or (len(a) != len(b) and 1 not in (len(a), len(b))):
        raise ValueError(f"cannot pair answers of shape {a.shape} with {b.shape}: (repeats, videos) must agree")
    both = ((a >= 0).all(axis=0)) & ((b >= 0).all(axis=0))
    if not both.any():
        raise ValueError("cannot pair: there is no video that both could read")
    found = _mean(a.astype(np.int8) - b.astype(np.int8), both, groups, -100.0)
    p = float(p_value(np.array(found.value), np.array(found.error), np.array(found.df)))
    return Comparison(found.value, found.error, found.df, found.low, found.high, p, found.n_draws, found.n_groups)


def _mean(values_RV: np.ndarray, kept: np.ndarray, groups: np.ndarray | None, floor: float) -> Mean:
    """The mean of `values` in percent over the kept videos; its interval ends at `floor` and 100."""
    values = values_RV[:, kept].astype(float)
    if groups is not None and len(groups) != len(kept):
        raise ValueError(f"there are {len(groups)} group numbers for {len(kept)} videos")
    of_video = np.arange(values.shape[1]) if groups is None else np.unique(groups[kept], return_inverse=True)[1]
    sums = np.stack([np.bincount(of_video, row) for row in values])  # (R, G)
    mean, error, df = (float(x) for x in crossed(sums, np.bincount(of_video)))
    half = stdtrit(df, 0.5 + LEVEL / 2) * error if np.isfinite(error) else np.inf
    n_draws = 1 if (values == values[0]).all() else len(values)
    return Mean(mean, error, df, max(floor, mean - half), min(100.0, mean + half), n_draws, sums.shape[1])


def crossed(sums_RG: np.ndarray, sizes_G: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over videos, its standard error (both in percent) and degrees of freedom, from sums per repeat and group.

    A variance whose estimate is negative counts as zero. One group says nothing about others: its error is infinite.

    Args:
        sums_RG: (..., R, G) sums over the videos of a group; leading axes are worlds.
        sizes_G: (G,) videos of each group.
    """
    n_repeats, n_groups = sums_RG.shape[-2:]
    mean = sums_RG.mean(axis=-2).sum(axis=-1) / sizes_G.sum()
    if n_groups == 1:
        return 100 * mean, np.full_like(mean, np.inf), np.ones_like(mean)
    residuals = (sums_RG - mean[..., None, None] * sizes_G) * (n_groups / sizes_G.sum())
    of_repeat, of_group = residuals.mean(axis=-1), residuals.mean(axis=-2)
    df_r, df_g = n_repeats - 1, n_groups - 1
    square_r = n_groups * (of_repeat**2).sum(axis=-1) / max(df_r, 1)
    square_g = n_repeats * (of_group**2).sum(axis=-1) / df_g
    within = residuals - of_repeat[..., None] - of_group[..., None, :]
    square_rg = (within**2).sum(axis=(-2, -1)) / max(df_r * df_g, 1)
    with_r, with_g = square_r > square_rg, square_g > square_rg  # the draws' and the groups' variance is above zero
    alike = with_r == with_g
    variance = square_r * with_r + square_g * with_g + square_rg * alike * np.where(with_r, -1, 1)
    spread = square_r**2 * with_r / max(df_r, 1) + square_g**2 * with_g / df_g
    spread = spread + square_rg**2 * alike / max(df_r * df_g, 1)
    df = np.divide(variance**2, spread, out=np.full_like(variance, df_g), where=spread > 0)
    df = np.maximum(df, min(df_r, df_g) if df_r else df_g)
    return 100 * mean, 100 * np.sqrt(variance / (n_repeats * n_groups)), df


def p_value(mean: np.ndarray, error: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided p of a mean being zero, Student's t; without any spread 1 for zero itself and 0 for another mean."""
    t = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
    return 2 * stdtr(df, -t)


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
