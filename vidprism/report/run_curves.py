"""The log of a run as charts: hue and dashes by dataset, lightness by shots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vidprism.records.record import Cell, cell_key
from vidprism.report import charts
from vidprism.report.charts import Plot, Point, Series

MOST_POINTS, PAGE_POINTS = 150, 11_000  # of a line, and of all lines of a page together (about 12 bytes each)
MOST_LINES = 12  # of a chart; with more, each dataset has its own
HUES, STEPS = 4, 5  # classes d0 to d3 and k0 to k4 of run.css
Curves = dict[str, list[tuple[int, float]]]  # series -> points (updates done, value)


@dataclass(frozen=True)
class Curve:
    """One series of a log: a cell, or one repeat of it. `name` is the name of its colour in the keys."""

    series: str
    name: str
    dataset: str
    css: str


def draw_log(
    log: dict[str, Curves], cells: Sequence[Cell], headings: dict[str, str]
) -> tuple[tuple[Plot, ...], tuple[Series, ...]]:
    """The charts of a log, and the keys of their colours.

    Args:
        log: metric -> series -> points; a series is a cell such as `hmdb51_k4`, or a repeat of one.
        cells: those of the row.
        headings: dataset -> its name on the page; the order gives the hues.
    """
    names = list(dict.fromkeys(name for curves in log.values() for name in curves))
    curves = curves_of(names, cells, headings)
    most = max(20, min(MOST_POINTS, PAGE_POINTS // sum(len(found) for found in log.values())))
    split = list(dict.fromkeys(c.dataset for c in curves)) if len(curves) > MOST_LINES else [""]
    plots = []
    for metric, (title, y_name) in titles(log).items():
        for part in split:
            chosen = [c for c in curves if c.series in log[metric] and part in ("", c.dataset)]
            lines = [_line(c, log[metric][c.series], most) for c in chosen]
            where = f", {headings.get(part, part)}" if part else ""
            if lines:
                plots.append(charts.plot(f"{title}{where}", lines, "update", y_name))
    keys = {c.css: Series(c.name, c.css, ()) for c in reversed(curves)}
    return tuple(plots), tuple(reversed(keys.values()))


def titles(log: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Metric -> title of its chart and name of its vertical axis, in page order: the objective, its terms, accuracy,
    experts, the rest.
    """
    log = list(log)
    terms = sorted(name for name in log if name.startswith("loss/") and name not in ("loss/total", "loss/cls"))
    experts = sorted((name for name in log if name.startswith("experts/")), key=lambda name: int(name.split("_")[-1]))
    known = {
        "loss/total": ("Objective", "loss"),
        "loss/cls": ("Its term cls", "loss"),
        **{name: (f"Its term {name.removeprefix('loss/')}, unweighted", "loss") for name in terms},
        "accuracy": ("Correct clips of the batch", "%"),
        **{name: (f"Share of {name.removeprefix('experts/').replace('_', ' ')}", "of 1") for name in experts},
        "lr": ("Learning rate", "step size"),
        "clips_per_sec": ("Speed of this machine", "clips a second"),
        "memory_mib": ("Memory of this machine", "MiB"),
    }
    return {name: title for name, title in known.items() if name in log}


def curves_of(names: Sequence[str], cells: Sequence[Cell], headings: dict[str, str]) -> list[Curve]:
    """The series of a log with their colours: class `d<i>` by the dataset and `k<i>` by the shots, light to dark. Where
    all series have the same K, the repeats differ in lightness; otherwise the repeats of a cell share their colour.
    """
    known = {cell_key(cell["dataset"], cell["shots"]): cell for cell in cells}
    found: list[tuple[str, str, float, int]] = []  # series, dataset, K, repeat
    for series in names:
        key, _, repeat = series.partition(" repeat ")
        cell = known.get(key)
        k = float("inf") if cell is None or cell["shots"] is None else float(cell["shots"])
        found.append((series, cell["dataset"] if cell else key, k, int(repeat or 0)))
    by_shots = len({k for _, _, k, _ in found}) > 1
    ranks = sorted({k if by_shots else repeat for _, _, k, repeat in found})
    hues = {dataset: i % HUES for i, dataset in enumerate(dict.fromkeys([*headings, *(d for _, d, _, _ in found)]))}
    curves = []
    for name, where, k, again in found:
        of_shots = f", K={k:.0f}" if k < float("inf") else ""
        of_repeat = f", repeat {again}" if " repeat " in name and not by_shots else ""
        css = f"d{hues[where]} k{_step(ranks.index(k if by_shots else again), len(ranks))}"
        curves.append(Curve(name, f"{headings.get(where, where)}{of_shots}{of_repeat}", where, css))
    return curves


def _step(rank: int, n: int) -> int:
    """The place of the `rank`th of `n` values among the steps of lightness."""
    return (STEPS - 1) // 2 if n == 1 else round(rank * (STEPS - 1) / (n - 1))


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most `most` of the points: the first, the last, and the lowest and highest of equal stretches between."""
    if len(points) <= most:
        return list(points)
    n = (most - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for i in range(n):
        stretch = inner[i * len(inner) // n : (i + 1) * len(inner) // n]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return [*kept, points[-1]]


def _line(curve: Curve, points: Sequence[tuple[int, float]], most: int) -> Series:
    drawn = tuple(Point(float(x), y) for x, y in thinned(points, most))
    return Series(curve.name, curve.css, drawn, dots=len(points) == 1)
