"""Tables 3 to 5: one line per variant of params.yaml, each in the table that its switch belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vidprism import paper, results
from vidprism.config import Config
from vidprism.paper import PARTS, PublishedRow
from vidprism.record import NOT_RUN, Record
from vidprism.rows import Row, rows
from vidprism.tables import entries
from vidprism.tables.layout import Block, Column, Entry, Line, heading, real_name

# Which table, and which part of it, a switch belongs to. What is not listed stands on the readings page.
HOMES = {
    "rates": (3, ""),
    "lambda_rank": (4, ""),
    "lambda_div": (4, ""),
    "lambda_gate": (4, ""),
    "lambda_text": (4, ""),
    "aggregation": (5, "a"),
    "interaction": (5, "b"),
    "combination": (5, "c"),
}
READINGS = (0, "")
DEFAULT = "default"


def home(key: str, changed: dict[str, Any]) -> tuple[int, str]:
    """(table, part) that a variant belongs to by the first of its switches that has a home; READINGS where
    none has.

    Variants named `to_<switch>` turn one switch to the released value and stand on the readings page
    whatever they turn.
    """
    if key.startswith("to_") and key.removeprefix("to_") in changed:
        return READINGS
    return next((HOMES[switch] for switch in changed if switch in HOMES), READINGS)


def columns(config: Config) -> tuple[Column, ...]:
    """One column per dataset of the ablations, at their number of shots."""
    c = config.profile.ablations
    return tuple(
        Column(dataset, c.shots, "top1", heading(config.profile, dataset), "Top-1 (%)", dataset)
        for dataset in c.datasets
    )


def table3(config: Config) -> list[Block]:
    """Numbers of experts and their rates."""
    return _blocks(config, 3)


def table4(config: Config) -> list[Block]:
    """Losses, added one by one."""
    return _blocks(config, 4)


def table5(config: Config) -> list[Block]:
    """Aggregation, interaction and combination: three blocks."""
    return _blocks(config, 5)


def _blocks(config: Config, number: int) -> list[Block]:
    """The printed rows in printed order, then the variants of params.yaml that belong here and are not in
    the paper.
    """
    printed_rows = paper.load(number)
    records, expected = results.load(config, "ablations"), rows(config, "ablations")
    parts = list(dict.fromkeys(row.labels["part"] for row in printed_rows))
    return [
        entries.add_signs(
            _block(config, number, part, [r for r in printed_rows if r.labels["part"] == part], expected, records)
        )
        for part in parts
    ]


def _block(
    config: Config,
    number: int,
    part: str,
    printed_rows: list[PublishedRow],
    expected: dict[str, Row],
    records: dict[str, Record],
) -> Block:
    found, known = columns(config), {printed.run for printed in printed_rows}
    lines = [line(config, found, printed, printed.run, records) for printed in printed_rows]
    variants = config.profile.ablations.variants
    added = [key for key in expected if key not in known and home(key, variants[key]) == (number, part)]
    lines += [line(config, found, None, key, records) for key in added]
    labels = ("Experts", "Rates") if number == 3 else ("Type",)
    panel = tuple((real_name(c.dataset), "Top-1") for c in found)
    return Block(PARTS[part], labels, found, panel, tuple(replace(line, contest=part) for line in lines))


def line(
    config: Config,
    found: tuple[Column, ...],
    printed: PublishedRow | None,
    key: str,
    records: dict[str, Record],
) -> Line:
    """The line of one variant: its measured entries, and its printed numbers if the paper has it."""
    record = records.get(key)
    missing = Entry(NOT_RUN, f"params.yaml has no variant '{key}' in this profile")
    cells = tuple(entries.measured(record, column) if record else missing for column in found)
    names = [c.published for c in found]
    changed = config.profile.ablations.variants.get(key, {})
    rates = changed.get("rates")
    if printed is not None:
        labels = (printed.labels["section"], printed.name) if printed.labels["section"] else (printed.name,)
    elif isinstance(rates, list):
        labels = (
            f"{len(rates)} expert{'s' if len(rates) > 1 else ''}",
            f"{', '.join(map(str, rates))} ({key})",
        )
    else:
        labels = (f"{key} ({describe(changed)})",)
    panel = entries.published(printed, names, cells, config.profile.generated)
    return Line(
        labels=labels,
        entries=cells,
        published=panel,
        run=key if record else "",
        extra=printed is None,
        default=key == DEFAULT,
        record=record,
    )


def describe(changed: dict[str, Any]) -> str:
    """A variant's switches as `name=value, ...`."""
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "no switch"
