"""Worlds whose accuracy is known, and how often the suite's intervals and verdicts are right in them:
``python -m tests.interval_worlds`` prints the table of docs/protocol.md.

A world is a table of 14 rows by two columns, in which every row is right on half of the videos in the long run, so
that each of its 26 verdicts against the first row would be false. Whether a video is answered right is decided by a
normal variable that is partly shared by its group, by its rows and by its repeats. Letters: W worlds, K rows,
R repeats, G groups, V videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

import numpy as np
from scipy.special import ndtri, stdtrit

from vidprism.evaluation import stats

ROWS, COLUMNS, BOLD_ROWS = 14, 2, 6
AT_ONCE = 20  # worlds


@dataclass(frozen=True)
class Case:
    """One line of the table: the correlation of two answers within a group, the standard deviation of a cell between
    draws in points, and the numbers of groups and repeats.
    """

    correlation: float
    draws_points: float
    n_groups: int
    n_repeats: int = 5
    alike: float = 0.5  # share of every variance that all rows have in common


CASES = tuple(Case(c, d, g) for g in (84, 280) for c in (0.6, 0.9) for d in (1.0, 4.0))
BEYOND = (
    Case(0.6, 1.0, 84, n_repeats=3),
    Case(0.6, 4.0, 280, n_repeats=3),
    Case(0.9, 1.0, 84, alike=0.99),
    Case(0.9, 4.0, 280, alike=0.99),
)


@dataclass(frozen=True)
class Found:
    """Shares in percent: intervals of cells and of differences that cover the truth, and the same of cells if each
    video counted as a group of its own; tables with a false verdict, and the same with Satterthwaite's degrees of
    freedom; columns in which two of six rows are separated.
    """

    cells: float
    differences: float
    cells_by_video: float
    tables: float
    tables_satterthwaite: float
    bold: float


def sizes(n_groups: int) -> np.ndarray:
    """Videos of each group, (G,): 1 to 6 in turn."""
    return np.resize(np.arange(1, 7), n_groups)


def draw(case: Case, n_worlds: int, rng: np.random.Generator) -> np.ndarray:
    """Answers (W, K, R, V) of one column, bool; the videos of a group stand together."""
    of_video = np.repeat(np.arange(case.n_groups), sizes(case.n_groups))
    in_group = np.sin(np.pi / 2 * case.correlation)  # then answers that are right half the time correlate so
    common, own = (rng.normal(size=(n_worlds, rows, case.n_repeats, 1)) for rows in (1, ROWS))
    draws = case.draws_points / 100 * (common * np.sqrt(case.alike) + own * np.sqrt(1 - case.alike))
    bar = ndtri(np.clip(0.5 + draws, 0.001, 0.999)).astype(np.float32)

    def shared(n: int, variance: float) -> np.ndarray:
        shapes = (n_worlds, 1, 1, n), (n_worlds, ROWS, 1, n), (n_worlds, ROWS, case.n_repeats, n)
        scales = np.sqrt(variance * np.array([case.alike, *[(1 - case.alike) / 2] * 2], np.float32))
        first, second, third = (rng.standard_normal(s, np.float32) * x for s, x in zip(shapes, scales, strict=True))
        third += first + second
        return third

    latent = shared(len(of_video), 1 - in_group)
    latent += shared(case.n_groups, in_group)[..., of_video]
    return latent < bar


def tables(case: Case, n_worlds: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Answers (W, C, K, R, V) of tables, some worlds at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, n_worlds, AT_ONCE):
        n = min(AT_ONCE, n_worlds - start)
        yield draw(case, COLUMNS * n, rng).reshape(n, COLUMNS, ROWS, case.n_repeats, -1)


def simulate(case: Case, n_worlds: int, seed: int = 0) -> Found:
    """How often intervals, verdicts and bold are right in `n_worlds` tables. A family holds a false verdict exactly if
    Holm's first step is taken.
    """
    size, found = sizes(case.n_groups), []
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    pairs = np.triu_indices(BOLD_ROWS, 1)
    alpha = (1 - stats.LEVEL) / (COLUMNS * (ROWS - 1)), (1 - stats.LEVEL) / len(pairs[0])
    for answers in tables(case, n_worlds, seed):
        sums = np.add.reduceat(answers.astype(np.float32), starts, axis=-1).astype(float)  # (W, C, K, R, G)
        cells, verdicts = stats.crossed(sums, size), stats.crossed(sums[:, :, 1:] - sums[:, :, :1], size)
        alone = stats.crossed(answers[:, :, 0].astype(float), np.ones(answers.shape[-1]))
        in_bold = stats.crossed(sums[:, :, pairs[0]] - sums[:, :, pairs[1]], size)
        shares = (
            np.abs(cells.value - 50) <= cells.half_width(),
            np.abs(verdicts.value) <= verdicts.half_width(),
            np.abs(alone.value - 50) <= alone.half_width(),
            (np.abs(verdicts.value) > verdicts.half_width(alpha[0])).any(axis=(1, 2)),
            (np.abs(verdicts.value) > satterthwaite(verdicts, alpha[0])).any(axis=(1, 2)),
            (np.abs(in_bold.value) > in_bold.half_width(alpha[1])).any(axis=-1),
        )
        found += [[share[world].mean() for share in shares] for world in range(len(sums))]
    return Found(*map(float, 100 * np.mean(found, axis=0)))


def satterthwaite(mean: stats.Mean, alpha: float) -> np.ndarray:
    """Half width from one t distribution with Satterthwaite's degrees of freedom, of the same variance."""
    parts = (mean.error_draws**2, mean.n_draws - 1), (mean.error_groups**2, mean.n_groups - 1)
    variance = sum(square for square, _ in parts)
    df = variance**2 / sum(square**2 / n for square, n in parts)
    return -stdtrit(df, alpha / 2) * np.sqrt(variance)


def main() -> None:
    """Print the table: 2,000 worlds a line."""
    headings = ("draws", "groups", "correlation", "deviation", "alike", *(field.name for field in fields(Found)))
    print(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    for case in (*CASES, *BEYOND):
        shown = [f"{x:.1f}" for x in astuple(simulate(case, 2000))]
        world = f"{case.n_repeats} | {case.n_groups} | {case.correlation} | {case.draws_points:g} | {case.alike}"
        print(f"| {world} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
