"""The log of a run as charts: hue and dashes by dataset, lightness by shots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vidprism.report import charts
from vidprism.report.charts import Plot, Point, Series

MOST_POINTS = 150  # points of a line; a longer one keeps the extremes of equal stretches
HUES, STEPS = 4, 4  # classes d0 to d3 and k0 to k3 of run.css
Curves = dict[str, list[tuple[int, float]]]  # series -> points (updates done, value)


def draw_log(log: dict[str, Curves], datasets: Sequence[str]) -> tuple[tuple[Plot, ...], tuple[Series, ...]]:
    """A chart for each metric of a log, and the keys of the colours.

    Args:
        log: metric -> series -> points; a series is a cell such as `hmdb51_k4`, or a repeat of one.
        datasets: those of the profile, whose order gives their hues.
    """
    names = list(dict.fromkeys(name for curves in log.values() for name in curves))
    css = series_css(names, datasets)
    plots = tuple(
        charts.plot(title, [_series(name, css[name], points) for name, points in log[metric].items()], "update", "")
        for metric, title in titles(log).items()
    )
    return plots, tuple(Series(name, css[name], ()) for name in names)


def titles(log: Iterable[str]) -> dict[str, str]:
    """Metric -> title of its chart, in page order: the objective, its terms, accuracy, experts, the rest."""
    log = list(log)
    terms = sorted(name for name in log if name.startswith("loss/") and name not in ("loss/total", "loss/cls"))
    experts = sorted((name for name in log if name.startswith("experts/")), key=lambda name: int(name.split("_")[-1]))
    known = {
        "loss/total": "Objective",
        "loss/cls": "Its term cls",
        **{name: f"Its term {name.removeprefix('loss/')}, unweighted" for name in terms},
        "accuracy": "Correct clips of the batch, %",
        **{name: f"Share of {name.removeprefix('experts/').replace('_', ' ')}" for name in experts},
        "lr": "Learning rate",
        "clips_per_sec": "Clips a second (of this machine)",
        "memory_mib": "Memory, MiB (of this machine)",
    }
    return {name: title for name, title in known.items() if name in log}


def series_css(names: Sequence[str], datasets: Sequence[str]) -> dict[str, str]:
    """The CSS classes of each series: `d<i>` by its dataset and `k<i>` by its shots, light to dark."""
    shots = sorted({series_shots(name) for name in names})
    places = {k: round(i * (STEPS - 1) / max(len(shots) - 1, 1)) for i, k in enumerate(shots)}
    if len(shots) == 1:
        places = {shots[0]: STEPS - 2}
    order = {dataset: i % HUES for i, dataset in enumerate(datasets)}
    return {name: f"d{order.get(series_dataset(name, datasets), 0)} k{places[series_shots(name)]}" for name in names}


def series_dataset(series: str, datasets: Sequence[str]) -> str:
    """The dataset that a series is named after, "" if it is none of the profile's."""
    return next((dataset for dataset in sorted(datasets, key=len, reverse=True) if series.startswith(dataset)), "")


def series_shots(series: str) -> float:
    """K of a series such as `hmdb51_k4 repeat 0`; infinite for the whole training list."""
    found = re.search(r"_k(\d+)", series)
    return float(found[1]) if found else float("inf")


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


def _series(name: str, css: str, points: Sequence[tuple[int, float]]) -> Series:
    return Series(name, css, tuple(Point(float(x), y) for x, y in thinned(points)), dots=len(points) == 1)
