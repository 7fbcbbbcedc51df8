"""Values against a number, with intervals: curves over shots or updates, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprism.report.charts.axes import Axis, linear_axis, log_axis, tick_text

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 12.0, 8.0, 38.0  # margins, in the units of the picture
LETTER, GAP = 6.2, 9.0  # width of a letter of a tick, and the space beside it: long ticks widen the margins


@dataclass(frozen=True)
class Point:
    """A value `y` at `x`, and its interval if it has one; `note` is added to its tooltip."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one method or cell. `css` gives its colour (s0 to s7, see style.css). `joined`: a line with a band;
    otherwise marks with error bars. `hollow`: rings instead of dots.
    """

    name: str
    css: str
    points: tuple[Point, ...]
    joined: bool = True
    hollow: bool = False
    dots: bool = True


@dataclass(frozen=True)
class Mark:
    """A point of the picture: its position, the ends of its error bar if it has one, and its tooltip."""

    x: float
    y: float
    top: float | None
    bottom: float | None
    note: str


@dataclass(frozen=True)
class Drawn:
    """A series of the picture: the points of its line and of its band, and its marks."""

    name: str
    css: str
    line: str
    band: str
    marks: tuple[Mark, ...]
    shape: str  # dot or ring


@dataclass(frozen=True)
class Plot:
    """The picture; `summary` is its text alternative."""

    title: str
    summary: str
    x_name: str
    y_name: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    series: tuple[Drawn, ...]


def plot(
    title: str,
    series: Sequence[Series],
    x_name: str,
    y_name: str,
    *,
    x_log: bool = False,
    x_values: Sequence[float] = (),
    from_zero: bool = False,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> Plot:
    """A chart of one or more series.

    Args:
        title: what is shown.
        series: at least one point in all.
        x_name, y_name: names of the axes, with units.
        x_log: a logarithmic horizontal axis.
        x_values: the ticks of the horizontal axis; by default round numbers.
        from_zero: the vertical axis begins at 0.
        width, height: size in the units of the picture (about the pixels of a narrow screen).
    """
    points = [p for s in series for p in s.points]
    xs = [p.x for p in points]
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None] + [0.0] * from_zero
    y_axis, y_values = linear_axis(min(ys), max(ys), height - BOTTOM, TOP)
    y_ticks = y_axis.ticks(y_values)
    left = max(LEFT, round(GAP + LETTER * max(len(text) for _, text in y_ticks), 1))
    _, ticks = _horizontal(xs, list(x_values), x_log, left, width - RIGHT)
    right = width - max(RIGHT, round(1 + LETTER * len(tick_text(ticks[-1])) / 2, 1)) if ticks else width - RIGHT
    x_axis, _ = _horizontal(xs, list(x_values), x_log, left, right)
    summary = f"{title}: {y_name} against {x_name}; " + "; ".join(
        f"{s.name} {s.points[0].y:.3g} to {s.points[-1].y:.3g}" for s in series[:12] if s.points
    )
    return Plot(
        title,
        summary + (f"; and {len(series) - 12} more" if len(series) > 12 else ""),
        x_name,
        y_name,
        width,
        height,
        left,
        right,
        TOP,
        height - BOTTOM,
        x_axis.ticks(ticks),
        y_ticks,
        tuple(_drawn(s, x_axis, y_axis) for s in series if s.points),
    )


def _horizontal(xs: list[float], values: list[float], log: bool, start: float, end: float) -> tuple[Axis, list[float]]:
    low, high = min(xs + values), max(xs + values)
    if log and values:  # the given ticks, for example shots, with no margin
        return Axis(low, high, start + 8, end - 8, log=True), values
    if log:
        return log_axis(low, high, start, end)
    return linear_axis(low, high, start, end) if not values else (Axis(low, high, start + 8, end - 8), values)


def _drawn(series: Series, x_axis: Axis, y_axis: Axis) -> Drawn:
    points = series.points
    line = " ".join(f"{x_axis.at(p.x)},{y_axis.at(p.y)}" for p in points) if series.joined and len(points) > 1 else ""
    known = [p for p in points if p.low is not None and p.high is not None]
    edge = [(p.x, p.low) for p in known] + [(p.x, p.high) for p in reversed(known)]
    band = " ".join(f"{x_axis.at(x)},{y_axis.at(y)}" for x, y in edge) if line and len(known) > 1 else ""
    marks = tuple(_mark(series, p, x_axis, y_axis) for p in points) if series.dots else ()
    return Drawn(series.name, series.css, line, band, marks, "ring" if series.hollow else "dot")


def _mark(series: Series, p: Point, x_axis: Axis, y_axis: Axis) -> Mark:
    interval = "" if p.low is None or p.high is None else f" [{p.low:.1f}, {p.high:.1f}]"
    note = f"{series.name}{', ' + p.note if p.note else ''}: {p.y:.4g}{interval}"
    bar = (None, None) if series.joined or not interval else (y_axis.at(p.high), y_axis.at(p.low))
    return Mark(x_axis.at(p.x), y_axis.at(p.y), *bar, note)
