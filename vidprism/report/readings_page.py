"""The readings page as data: every switch between the paper's text and its released code, and the effect of changing
only that switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vidprism.config import Config
from vidprism.config.rows import Row, rows
from vidprism.evaluation import results, stats
from vidprism.model.readings import PRESETS, Setting, differences
from vidprism.records.record import MEASURED, Record
from vidprism.report import charts
from vidprism.report.charts import Effect, Forest
from vidprism.report.numbers import signed
from vidprism.report.panels import anchor
from vidprism.report.tables import ablations, cells, families, identity
from vidprism.report.tables.identity import Trained
from vidprism.report.tables.layout import Column, Line, heading
from vidprism.report.tables.setting import training_videos

PRESET = "released preset"
LABELS = 130  # space for the labels of a forest plot, in the units of the picture


@dataclass(frozen=True)
class SwitchEffect:
    """Accuracy with a changed switch minus accuracy of the default, in one column, or the reason why there is none."""

    comparison: stats.Comparison | None
    reason: str = ""
    href: str = ""
    separable: bool = False  # after Holm within its family


@dataclass(frozen=True)
class Switch:
    """One switch: its value in both readings with tag and source, and the change per dataset when only this switch is
    changed.
    """

    name: str
    paper: Setting
    released: Setting
    variant: str
    changes: tuple[SwitchEffect, ...]


@dataclass(frozen=True)
class Readings:
    """The whole page: switches that differ, the released preset as a whole, switches that agree, and what is not
    measured.
    """

    columns: tuple[str, ...]
    switches: tuple[Switch, ...]
    preset: tuple[SwitchEffect, ...]
    methods: tuple[tuple[str, SwitchEffect], ...]
    others: tuple[tuple[str, tuple[SwitchEffect, ...]], ...]
    agreeing: tuple[tuple[str, Setting], ...]
    lines: tuple[Line, ...]
    preset_variant: str = ""
    other_variants: tuple[str, ...] = ()  # the rows of `others`
    tests: str = ""  # about the family of the changes against the default, and about that of the two methods
    tests_of_methods: str = ""

    @property
    def changes(self) -> list[tuple[str, str, SwitchEffect]]:
        """(switch, column, change) of the switches and the preset, where a change was measured."""
        named = [(switch.name, switch.changes) for switch in self.switches] + [(PRESET, self.preset)]
        return [
            (name, column, change)
            for name, changes in named
            for column, change in zip(self.columns, changes, strict=True)
            if change.comparison
        ]

    @property
    def finding(self) -> str:
        """What turning the switches changes, one at a time and all at once, in a few sentences."""
        found = [item for item in self.changes if item[0] != PRESET]
        whole = [(column, change) for name, column, change in self.changes if name == PRESET]
        sentences = []
        if found:
            told = sum(change.separable for _, _, change in found)
            name, column, change = max(found, key=lambda item: abs(item[2].comparison.difference))
            one = f"{told or 'None'} of {len(found)} changes by one switch can be told from zero."
            sentences += [one, f"The largest is {name} on {column}: {_in_points(change)}."]
        if whole:
            each = "; ".join(f"{column} {_in_points(change)}" for column, change in whole)
            sentences.append(f"The released preset as a whole: {each}.")
        return " ".join(sentences) or "No switch has been measured yet."

    @property
    def forests(self) -> tuple[Forest, ...]:
        """The changes of each column as a forest plot."""
        drawn = []
        for column in self.columns:
            effects = [_effect(name, change) for name, where, change in self.changes if where == column]
            if effects:
                title = f"{column}: switch turned minus default"
                drawn.append(charts.forest(title, effects, "points of top-1", labels=LABELS))
        return tuple(drawn)


def _in_points(change: SwitchEffect) -> str:
    c = change.comparison
    verdict = "separable from zero" if change.separable else "not separable from zero"
    return f"{signed(c.difference)} points [{signed(c.low)}, {signed(c.high)}], {verdict}"


def _effect(name: str, change: SwitchEffect) -> Effect:
    c = change.comparison
    verdict = "same" if not change.separable else "better" if c.difference > 0 else "worse"
    return Effect(name, c.difference, c.low, c.high, verdict)


def build_readings(config: Config) -> Readings:
    """The readings page of the chosen profile.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    records, columns = results.load_results(config, "ablations"), ablations.columns(config)
    paper, released = PRESETS["paper"], PRESETS["released"]
    trained, differing = ablations.runs(config, records), differences()
    default = ablations.default(config)
    of_switch = {name: _turned(trained, default, {name: released[name].value}) for name in differing}
    preset = next((key for key, t in trained.items() if _of_reading(t, "released")), "")
    shown = dict.fromkeys([default, preset, *of_switch.values()])
    others = [
        key
        for key, found in trained.items()
        if key not in shown and ablations.home(identity.changed_options(found)) == ablations.READINGS
    ]

    def changes(key: str) -> tuple[SwitchEffect, ...]:
        return _changes(records, default, key, columns)

    page = Readings(
        columns=tuple(column.group for column in columns),
        switches=tuple(Switch(name, paper[name], released[name], key, changes(key)) for name, key in of_switch.items()),
        preset=changes(preset),
        preset_variant=preset if preset in records else "",
        methods=_between_methods(config),
        others=tuple((identity.name(trained[key]), changes(key)) for key in others),
        other_variants=tuple(others),
        agreeing=tuple((name, setting) for name, setting in paper.items() if name not in differing),
        lines=tuple(
            ablations.line(config, 0, None, trained[key], key, records) for key in [*shown, *others] if key in records
        ),
    )
    return _in_families(page)


def _in_families(page: Readings) -> Readings:
    """The page with each change judged within its family (c): all cells against one opponent, which is the default row
    or, for the two methods, the paper's reading.
    """
    every = [*(c for s in page.switches for c in s.changes), *page.preset, *(c for _, cs in page.others for c in cs)]
    settle, tests = _family(every, "the default row")
    settle_method, tests_of_methods = _family([change for _, change in page.methods], "the paper's reading")
    return replace(
        page,
        switches=tuple(replace(s, changes=tuple(map(settle, s.changes))) for s in page.switches),
        preset=tuple(map(settle, page.preset)),
        others=tuple((name, tuple(map(settle, changes))) for name, changes in page.others),
        methods=tuple((name, settle_method(change)) for name, change in page.methods),
        tests=tests,
        tests_of_methods=tests_of_methods,
    )


def _family(changes: list[SwitchEffect], opponent: str) -> tuple[Callable[[SwitchEffect], SwitchEffect], str]:
    """What sets `separable` of each change of a family, and the family in words."""
    comparisons = [change.comparison for change in changes if change.comparison]
    if not comparisons:
        return (lambda change: change), ""
    told = {id(c) for c, p in zip(comparisons, families.adjusted(comparisons), strict=True) if p <= families.ALPHA}
    found = families.in_words(families.describe_family(comparisons))
    words = f"Family (c) of the protocol, the cells against {opponent}: {found}"
    return (lambda change: replace(change, separable=id(change.comparison) in told)), words


def _turned(trained: dict[str, Trained], default: str, changed: dict[str, Any]) -> str:
    """The key of the row that trained the default with exactly this change, "" if params.yaml has none."""
    if not default:
        return ""
    wanted = identity.changed_options(trained[default]) | changed
    reading = trained[default].options["reading"]
    same = (
        key for key, t in trained.items() if t.options["reading"] == reading and identity.changed_options(t) == wanted
    )
    return next(same, "")


def _of_reading(trained: Trained, reading: str) -> bool:
    """Whether a row trained an unchanged preset."""
    return trained.options.get("reading") == reading and not identity.changed_options(trained)


def _changes(
    records: dict[str, Record], default: str, key: str, columns: tuple[Column, ...]
) -> tuple[SwitchEffect, ...]:
    if not key:
        return tuple(SwitchEffect(None, "no variant in params.yaml changes only this switch") for _ in columns)
    plain = records.get(default)
    return tuple(_change(records[key], plain, column) for column in columns)


def _change(record: Record, default: Record | None, column: Column) -> SwitchEffect:
    """Accuracy of `record` minus that of `default`, paired, with a link to the run behind `record`."""
    if default is None:
        return SwitchEffect(None, "the profile has no default row to compare with")
    turned, plain = cells.measured_entry(record, column), cells.measured_entry(default, column)
    if {turned.status, plain.status} != {MEASURED}:
        return SwitchEffect(None, f"not run: {turned.reason or plain.reason}")
    page = f"runs/{record['profile']}/{record['group']}/{record['row']}.html#{anchor(record['row'], column.cell)}"
    return SwitchEffect(cells.compare(turned, plain), href=page)


def _between_methods(config: Config) -> tuple[tuple[str, SwitchEffect], ...]:
    """The released reading as a method with its own search, against the paper's reading, in every cell that has
    both.
    """
    found = []
    for group in ("closed_set", "few_shot"):
        records, expected = results.load_results(config, group), rows(config, group)
        trained = {key: identity.of(config, row, records[key]) for key, row in expected.items()}
        for key, row in expected.items():
            twin = _twin(row, expected, trained)
            for dataset, shots in row.cells if twin else []:
                column = Column(dataset, shots, "top1", heading(config.profile, dataset), "", "")
                where = f"{column.group}, {training_videos(shots)}, {row.frames} frames on {row.backbone}"
                name = f"{identity.title(trained[key])}: {where}"
                found.append((name, _change(records[key], records[twin], column)))
    return tuple(found)


def _twin(row: Row, expected: dict[str, Row], trained: dict[str, Trained]) -> str:
    """The key of the paper's reading of the same head in the same place, for a row of the released reading; otherwise
    "".
    """
    if trained[row.key].options.get("reading") != "released":
        return ""
    place = (trained[row.key].head, row.backbone, row.frames, row.track)
    same = (key for key, r in expected.items() if (trained[key].head, r.backbone, r.frames, r.track) == place)
    return next((key for key in same if _of_reading(trained[key], "paper")), "")
