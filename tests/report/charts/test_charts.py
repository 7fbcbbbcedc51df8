"""Charts: round ticks that cover the values, positions in the picture, and text for those who cannot see it."""

import itertools
import math
import random
import re

import pytest
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from vidprism.report import charts
from vidprism.report.charts import Effect, Point, Series
from vidprism.report.charts.axes import Axis, linear_axis, log_axis, round_ticks, tick_text
from vidprism.report.render import TEMPLATES

HOSTILE = "<script>alert('x')</script>"


def drawn(macro: str, chart: object) -> str:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    return str(Markup(getattr(environment.get_template("charts.html.j2").module, macro)(chart)))


@pytest.mark.parametrize("seed", range(50))
def test_ticks_are_round_and_cover_the_values(seed: int) -> None:
    rng = random.Random(seed)
    low = rng.uniform(-1, 1) * 10 ** rng.randint(-4, 4)
    high = low + 10 ** rng.uniform(-4, 4)
    ticks = round_ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert ticks[0] <= low + 1e-9 * abs(low) and ticks[-1] >= high - 1e-9 * abs(high) and 2 <= len(ticks) <= 8
    assert max(steps) - min(steps) < 1e-6 * max(steps)
    first = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(first - s) for s in (1, 2, 2.5, 5)) < 1e-3


@pytest.mark.parametrize(
    "low, high", [(0, 0.00025), (10, 2000), (0.0001, 0.00095), (-40, 30), (1e4, 9e5), (0.24, 0.36)]
)
def test_ticks_neither_overlap_nor_leave_the_picture(low: float, high: float) -> None:
    """A letter of a tick is at most 6.2 units wide and 11 high, and the text ends 5 units left of the axis."""
    found = charts.plot("t", [Series("a", "s0", (Point(low, low), Point(high, high)))], "x", "y")
    assert all(found.left - 5 - 6.2 * len(text) >= 0 for _, text in found.y_ticks)
    assert all(a - b >= 11 for (a, _), (b, _) in itertools.pairwise(found.y_ticks))
    middles = [(x, 6.2 * len(text) / 2) for x, text in found.x_ticks]
    assert all(b - a >= half + other for (a, half), (b, other) in itertools.pairwise(middles))
    assert middles[0][0] >= middles[0][1] and middles[-1][0] + middles[-1][1] <= found.width


def test_equal_values_have_an_axis() -> None:
    for value in (0.0, 3.0, -0.5):
        axis, ticks = linear_axis(value, value, 0, 100)
        assert axis.low < axis.high and len(ticks) >= 2 and 0 <= axis.at(value) <= 100


def test_positions() -> None:
    assert [Axis(0, 10, 100, 200).at(x) for x in (0, 5, 10, 99)] == [100, 150, 200, 200]
    assert [Axis(1, 100, 0, 2, log=True).at(x) for x in (1, 10, 100)] == [0, 1, 2]
    axis, ticks = log_axis(0.1, 3000, 0, 300)
    assert all(axis.low <= t <= axis.high for t in ticks) and {0.1, 1.0, 10.0, 100.0, 1000.0} <= set(ticks)
    assert [tick_text(x) for x in (-5, 0.001, 2000, 1e6)] == ["−5", "0.001", "2000", "1e6"]


def test_a_forest_plot_puts_zero_and_effects_in_order() -> None:
    effects = [Effect("K=2", 5.0, 1.0, 9.0, "better"), Effect("K=4", -2.0, -4.0, 0.5, "same")]
    found = charts.forest("A minus B", effects)
    assert found.bars[0].x > found.zero > found.bars[1].x and found.bars[0].left > found.zero
    assert [bar.css for bar in found.bars] == ["good", "tie"] and found.bars[0].y < found.bars[1].y < found.height
    assert found.summary == "A minus B: better 1, worse 0, same 1 of 2"
    assert "K=2: +5.0 [+1.0, +9.0], better" in drawn("forest", found)


def test_a_plot_has_axes_bands_and_a_text_alternative() -> None:
    curve = Series("VidPrism", "s0", tuple(Point(k, 10.0 * k, 10 * k - 2, 10 * k + 2) for k in (1.0, 2.0, 4.0)))
    found = charts.plot("mini-UCF", [curve], "shots", "top-1 (%)", x_log=True, x_values=(1, 2, 4))
    (series,) = found.series
    assert [text for _, text in found.x_ticks] == ["1", "2", "4"] and len(series.band.split()) == 6
    xs = [mark.x for mark in series.marks]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2), "equal steps of a doubling"
    assert all(found.top <= mark.y <= found.bottom for mark in series.marks)
    text = drawn("plot", found)
    assert 'role="img"' in text and "<title>mini-UCF: top-1 (%) against shots; VidPrism 10 to 40</title>" in text


def test_separate_points_have_error_bars() -> None:
    found = charts.plot("cost", [Series("a", "s1", (Point(0.5, 40, 35, 45),), joined=False)], "GMACs", "%", x_log=True)
    (mark,) = found.series[0].marks
    assert mark.top < mark.y < mark.bottom and found.series[0].line == ""


def test_a_band_runs_along_the_lower_ends_and_back_along_the_upper_ones() -> None:
    curve = Series("A", "s0", (Point(2, 20, 10, 30), Point(4, 40, 35, 45), Point(8, 60, 55, 65)))
    (series,) = charts.plot("P", [curve], "x", "y", x_values=[2, 4, 8]).series
    line, band = ([tuple(map(float, p.split(","))) for p in text.split()] for text in (series.line, series.band))
    assert [x for x, _ in band] == [x for x, _ in line] + [x for x, _ in reversed(line)]
    lower, upper = band[:3], band[:2:-1]
    assert all(up[1] < on[1] < low[1] for low, on, up in zip(lower, line, upper, strict=True))


@pytest.mark.parametrize("most", [0.025, 0.25, 2.5, 7.4, 12.4, 98.0])
def test_the_ticks_of_a_forest_plot_stay_in_the_picture(most: float) -> None:
    found = charts.forest("A minus B", [Effect("a", most / 2, 0.0, most, "same")])
    assert all(x + 6.2 * len(text) / 2 <= found.width for x, text in found.ticks)


def test_forest_plots_that_share_an_axis_have_equal_ticks() -> None:
    effects = [Effect("act", 4, 2, 6, "better"), Effect("div", -8, -10, -6, "worse")]
    first, second = (charts.forest("A minus B", [effect], shared=effects) for effect in effects)
    assert first.ticks == second.ticks == charts.forest("A minus B", effects).ticks and first.zero == second.zero
    scale = (first.bars[0].x - first.zero) / 4
    assert (second.bars[0].x - second.zero) / -8 == pytest.approx(scale, abs=0.05)


def test_a_text_alternative_names_twelve_series_and_counts_the_rest() -> None:
    many = [Series(f"M{i}", "s1", (Point(0, i), Point(1, i + 0.5)), dots=False) for i in range(15)]
    summary = charts.plot("Accuracy", many, "shots", "top-1 (%)").summary
    assert summary.startswith("Accuracy: top-1 (%) against shots; M0 0 to 0.5; M1 1 to 1.5;")
    assert "M11" in summary and "M12" not in summary and summary.endswith("and 3 more")


def test_names_are_text() -> None:
    curve = Series(HOSTILE, "s0", (Point(1, 1), Point(2, 2)))
    for text in (
        drawn("figure", charts.plot(HOSTILE, [curve], HOSTILE, HOSTILE)),
        drawn("forest", charts.forest(HOSTILE, [Effect(HOSTILE, 1, 0, 2, "same")])),
        drawn("keys", [curve]),
    ):
        assert "<script" not in text and re.search(r"&lt;script&gt;", text)
