"""The charts of a table page: accuracy against cost (Table 1), accuracy against shots (Table 2), and the differences
from the default row (Tables 3 to 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprism.evaluation import results
from vidprism.evaluation.stats import Mean
from vidprism.records.record import MEASURED
from vidprism.report import charts
from vidprism.report.charts import Effect, Forest, Plot, Point, Series
from vidprism.report.tables import cost
from vidprism.report.tables.layout import Block, Column, Line

LETTER = 6.2  # width of a letter of a label, in the units of a picture


@dataclass(frozen=True)
class Figures:
    """The charts of one block: their heading, the keys of their colours, and the pictures."""

    title: str = ""
    note: str = ""
    keys: tuple[Series, ...] = ()
    plots: tuple[Plot, ...] = ()
    forests: tuple[Forest, ...] = ()


def draw(number: int, block: Block, colours: dict[str, str]) -> Figures:
    """The charts of a block of Table `number`; without any if nothing in it is measured.

    Args:
        number: 1 to 5.
        block: its verdicts are settled.
        colours: the CSS class of each method (`vidprism.report.colours`).
    """
    measured = [line for line in block.lines if line.status == MEASURED]
    if not measured:
        return Figures()
    if number == 1:
        return _against_cost(block, measured, css_of(measured, colours))
    return _against_shots(block, measured, css_of(measured, colours)) if number == 2 else _differences(block, measured)


def css_of(lines: Sequence[Line], colours: dict[str, str]) -> list[str]:
    """The CSS classes of each line: the colour of its method, and dashes if a line of another name has that colour."""
    first: dict[str, str] = {}
    found = []
    for line in lines:
        colour, name = colours[line.record["method"]], line.labels[0]
        found.append(colour if first.setdefault(colour, name) == name else f"{colour} dashed")
    return found


def _against_shots(block: Block, measured: list[Line], css: list[str]) -> Figures:
    by_group: dict[str, list[int]] = {}
    for i, column in enumerate(block.columns):
        if column.shots is not None:
            by_group.setdefault(column.group, []).append(i)
    by_group = {group: found for group, found in by_group.items() if len(found) > 1}
    if not by_group:
        return Figures()
    plots = []
    for group, found in by_group.items():
        columns = [block.columns[i] for i in found]
        series = [_curve(line, colour, columns, found) for line, colour in zip(measured, css, strict=True)]
        shots = [float(c.shots or 0) for c in columns]
        plots.append(charts.plot(group, series, "shots per class", "top-1 (%)", x_log=True, x_values=shots))
    keys = tuple(Series(line.labels[0], colour, ()) for line, colour in zip(measured, css, strict=True))
    return Figures("Accuracy against shots", "Bands: 95 % over draws and groups of test videos.", keys, tuple(plots))


def _curve(line: Line, colour: str, columns: list[Column], found: list[int]) -> Series:
    points = tuple(
        Point(float(column.shots or 0), entry.mean, *_interval(entry.accuracy), note=column.heading)
        for column, entry in zip(columns, (line.entries[i] for i in found), strict=True)
        if entry.accuracy is not None and entry.mean is not None
    )
    return Series(line.labels[0], colour, points)


def _interval(accuracy: Mean) -> tuple[float | None, float | None]:
    return (None, None) if accuracy.n_groups == 1 else accuracy.interval


def _against_cost(block: Block, measured: list[Line], css: list[str]) -> Figures:
    dataset = block.columns[0].dataset
    found = []
    for line, colour in zip(measured, css, strict=True):
        cell = results.find_cell(line.record, dataset, None)
        counted = cost.counted(line.record, cell) if cell else None
        if counted and line.entries[0].accuracy:
            entry = line.entries[0]
            point = Point(counted.gmacs, entry.mean, *_interval(entry.accuracy), note=line.labels[1])
            found.append(Series(line.labels[0], colour, (point,), joined=False))
    plots = []
    if found:
        name = f"Measured on {block.columns[0].group}"
        plots.append(charts.plot(name, found, "multiply-adds of a view, 10⁹", "top-1 (%)", x_log=True))
    printed = _published(block)
    if printed:
        name = f"Published on {block.published_headings[0][0]}"
        plots.append(charts.plot(name, printed, "multiply-adds as printed, 10⁹", "top-1 (%)", x_log=True))
    note = (
        "Two panels, because their scales of accuracy have nothing in common. In the right panel, rings are VidPrism "
        "as published, and dots are the other published methods."
    )
    keys = tuple({s.name: s for s in found}.values())
    return Figures("Accuracy against multiply-adds", note if len(plots) > 1 else "", keys, tuple(plots))


def _published(block: Block) -> list[Series]:
    points: dict[bool, list[Point]] = {True: [], False: []}
    for line in block.lines:
        top1, gflops = line.published[0].value, line.published[-1].value
        if top1 is not None and gflops is not None:
            points[line.labels[0].startswith("VidPrism")].append(
                Point(gflops, top1, note=f"{line.labels[0]}, {line.labels[1]}")
            )
    names = {True: ("VidPrism", "s0", True), False: ("Other methods", "s7", False)}
    return [
        Series(names[own][0], names[own][1], tuple(dict.fromkeys(found)), joined=False, hollow=names[own][2])
        for own, found in points.items()
        if found
    ]


def _differences(block: Block, measured: list[Line]) -> Figures:
    default = next((line for line in block.lines if line.default), None)
    forests = []
    for i, column in enumerate(block.columns):
        effects = [
            Effect(", ".join(line.labels), c.comparison.difference, c.comparison.low, c.comparison.high, c.outcome)
            for line in measured
            if (c := line.entries[i].change) is not None
        ]
        if effects:
            space = round(max(len(e.label) for e in effects) * LETTER) + 12
            title = f"{column.group}: row minus {', '.join(default.labels) if default else 'default'}"
            forests.append(charts.forest(title, effects, "points of top-1", labels=min(space, 240)))
    note = (
        "Difference from the default row, with its 95 % interval. A filled dot is separable from zero after Holm over "
        "the table."
    )
    return Figures("Effects", note, (), (), tuple(forests))
