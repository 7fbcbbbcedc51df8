"""A forest plot: differences with their intervals, one below the other, around zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprism.report.charts.axes import linear_axis, tick_text
from vidprism.report.numbers import signed

WIDTH, LABELS, TOP, ROW, BOTTOM = 520, 150, 10, 19, 34  # in the units of the picture
RIGHT = 20.0  # margin: half of a tick of six letters
SIGNS = {"better": "good", "worse": "bad", "same": "tie"}


@dataclass(frozen=True)
class Effect:
    """A difference in points with its 95 % interval. `verdict`: better, worse, or same (not separable from zero within
    its family).
    """

    label: str
    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Bar:
    """A row of the picture: its label, the text of its tooltip, its verdict's CSS class, and its positions."""

    label: str
    note: str
    css: str
    y: float
    x: float
    left: float
    right: float


@dataclass(frozen=True)
class Forest:
    """The picture; `summary` is its text alternative."""

    title: str
    summary: str
    axis_name: str
    width: int
    height: int
    zero: float
    ticks: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]


def forest(
    title: str,
    effects: Sequence[Effect],
    axis_name: str = "points",
    labels: int = LABELS,
    shared: Sequence[Effect] = (),
    width: int = WIDTH,
) -> Forest:
    """A forest plot of one or more effects.

    Args:
        title: what is compared, for example "VidPrism-C minus mean pooling".
        effects: from top to bottom.
        axis_name: the name of the horizontal axis.
        labels: the space for the labels, in the units of the picture (about 6 for each letter).
        shared: effects of all plots that share the horizontal axis with this one.
        width: of the picture, in its units.
    """
    reach = [*effects, *shared]
    low, high = min(0.0, *(e.low for e in reach)), max(0.0, *(e.high for e in reach))
    axis, values = linear_axis(low, high, labels, width - RIGHT)
    bars = tuple(
        Bar(
            e.label,
            f"{e.label}: {signed(e.difference)} [{signed(e.low)}, {signed(e.high)}], {e.verdict}",
            SIGNS[e.verdict],
            TOP + ROW * (i + 0.5),
            axis.at(e.difference),
            axis.at(e.low),
            axis.at(e.high),
        )
        for i, e in enumerate(effects)
    )
    ticks = tuple((axis.at(v), f"{'+' if v > 0 else ''}{tick_text(v)}") for v in values)
    counts = {verdict: sum(e.verdict == verdict for e in effects) for verdict in SIGNS}
    summary = f"{title}: " + ", ".join(f"{verdict} {n}" for verdict, n in counts.items()) + f" of {len(effects)}"
    return Forest(title, summary, axis_name, width, TOP + ROW * len(bars) + BOTTOM, axis.at(0.0), ticks, bars)
