"""Worlds whose accuracy is known, and how often the suite's intervals and verdicts are right in them:
``python -m tests.interval_worlds`` prints the table of docs/protocol.md.

A world is a table of 14 rows by two columns, in which every row is right on half of the videos in the long run, so
that each of its 26 verdicts against the first row would be false. Whether a video is answered right is decided by a
normal variable that is partly shared by its group, by its rows and by its repeats. Letters: W worlds, K rows,
R repeats, G groups, V videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from vidprism import stats

ROWS, COLUMNS, REPEATS, BOLD_ROWS = 14, 2, 5, 6
SHARES = (0.5, 0.25, 0.25)  # of a variance: shared by all rows, by the repeats of a row, and by neither
AT_ONCE = 20  # worlds


@dataclass(frozen=True)
class Case:
    """One line of the table: the correlation of two answers within a group, the standard deviation of a cell (and of
    a difference) between draws in points, and the number of groups.
    """

    correlation: float
    draws_points: float
    n_groups: int


CASES = tuple(Case(c, d, g) for g in (84, 280) for c in (0.6, 0.9) for d in (1.0, 4.0))


@dataclass(frozen=True)
class Found:
    """Shares in percent: intervals of cells and of differences that cover the truth, the same if each video counted
    as a group of its own, tables with a false verdict, columns in which the bold is false.
    """

    cells: float
    differences: float
    cells_by_video: float
    tables: float
    bold: float


def sizes(n_groups: int) -> np.ndarray:
    """Videos of each group, (G,): 1 to 6 in turn."""
    return np.resize(np.arange(1, 7), n_groups)


def draw(case: Case, n_worlds: int, rng: np.random.Generator) -> np.ndarray:
    """Answers (W, K, R, V) of one column, bool; the videos of a group stand together."""
    of_video = np.repeat(np.arange(case.n_groups), sizes(case.n_groups))
    in_group = np.sin(np.pi / 2 * case.correlation)  # then answers that are right half the time correlate so
    draws = rng.normal(size=(n_worlds, 1, REPEATS, 1)) + rng.normal(size=(n_worlds, ROWS, REPEATS, 1))
    bar = ndtri(np.clip(0.5 + case.draws_points / 100 * draws / np.sqrt(2), 0.001, 0.999)).astype(np.float32)

    def shared(n: int, variance: float, scale: tuple[float, ...] = SHARES) -> np.ndarray:
        shapes = (n_worlds, 1, 1, n), (n_worlds, ROWS, 1, n), (n_worlds, ROWS, REPEATS, n)
        parts = (rng.standard_normal(s, dtype=np.float32) * np.float32(np.sqrt(variance * x)) for s, x in zip(shapes, scale, strict=True))
        first, second, third = parts
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
        yield draw(case, COLUMNS * n, rng).reshape(n, COLUMNS, ROWS, REPEATS, -1)


def simulate(case: Case, n_worlds: int, seed: int = 0) -> Found:
    """How often intervals, verdicts and bold are right in `n_worlds` tables."""
    size, rows = sizes(case.n_groups), []
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    first, second = np.triu_indices(BOLD_ROWS, 1)
    for answers in tables(case, n_worlds, seed):
        sums = np.add.reduceat(answers.astype(np.float32), starts, axis=-1).astype(float)  # (W, C, K, R, G)
        against = sums[:, :, 1:] - sums[:, :, :1]
        p = stats.p_value(*stats.crossed(against, size)).reshape(len(sums), -1)
        pairs = stats.holm(stats.p_value(*stats.crossed(sums[:, :, first] - sums[:, :, second], size)))
        top = sums[:, :, :BOLD_ROWS].sum(axis=(-2, -1)).argmax(axis=-1)[..., None]
        of_top = (first == top) | (second == top)
        alone = answers[:, :, 0].astype(float)
        rows.append(
            [
                _covers(stats.crossed(sums, size), 50.0),
                _covers(stats.crossed(against, size), 0.0),
                _covers(stats.crossed(alone, np.ones(alone.shape[-1])), 50.0),
                (stats.holm(p) <= 0.05).any(axis=-1).mean(),
                ((pairs <= 0.05) & of_top).any(axis=-1).mean(),
            ]
        )
    weights = [min(AT_ONCE, n_worlds - start) for start in range(0, n_worlds, AT_ONCE)]
    return Found(*(100 * np.average(rows, axis=0, weights=weights)))


def _covers(found: tuple[np.ndarray, np.ndarray, np.ndarray], truth: float) -> float:
    mean, error, df = found
    return float((np.abs(mean - truth) <= stdtrit(df, 0.5 + stats.LEVEL / 2) * error).mean())


def main() -> None:
    """Print the table: 2,000 worlds a line."""
    print("| groups | correlation | draws, points | cells | differences | cells, by video | tables | bold |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        found = simulate(case, 2000)
        shares = [found.cells, found.differences, found.cells_by_video, found.tables, found.bold]
        shown = [str(case.n_groups), str(case.correlation), f"{case.draws_points:g}", *(f"{x:.1f}" for x in shares)]
        print(f"| {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
