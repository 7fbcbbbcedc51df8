"""Tables 3 to 5: one line per variant of params.yaml, each in the table that its options belong to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vidprism import paper
from vidprism.config import Config
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.model.readings import PRESETS, differences
from vidprism.paper import PARTS, PublishedRow
from vidprism.records.record import NOT_RUN, Record
from vidprism.report.tables import identity, order
from vidprism.report.tables.cells import add_changes, measured_entry, published
from vidprism.report.tables.identity import Trained
from vidprism.report.tables.layout import Block, Column, Entry, Line, heading, real_name

# The table, and the part of it, that a switch belongs to. Other switches are on the readings page.
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


def home(changed: dict[str, Any]) -> tuple[int, str]:
    """(table, part) of a row, by the first of its changed options that has a place; READINGS if none has, or if only
    one switch is changed, to the value of the released code.
    """
    turned = {name: PRESETS["released"][name].value for name in differences()}
    if len(changed) == 1 and changed.items() <= turned.items():
        return READINGS
    return next((HOMES[switch] for switch in changed if switch in HOMES), READINGS)


def runs(config: Config, records: dict[str, Record]) -> dict[str, Trained]:
    """What each row of the ablations trained, by its key."""
    return {key: identity.of(config, row, records.get(key)) for key, row in rows(config, "ablations").items()}


def default(config: Config) -> str:
    """The key of the row that changes none of the options under `methods`, the reference for all others; "" if
    params.yaml has none.
    """
    base = config.methods.get(config.profile.ablations.method, {})
    return next((key for key, row in rows(config, "ablations").items() if row.options == base), "")


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
    """The printed rows in printed order, then the variants of params.yaml that belong here but are not in the paper."""
    printed_rows, records = paper.load_published(number), results.load_results(config, "ablations")
    trained = runs(config, records)
    parts = list(dict.fromkeys(row.labels["part"] for row in printed_rows))
    return [
        add_changes(
            _block(config, number, part, [r for r in printed_rows if r.labels["part"] == part], trained, records)
        )
        for part in parts
    ]


def _block(
    config: Config,
    number: int,
    part: str,
    printed_rows: list[PublishedRow],
    trained: dict[str, Trained],
    records: dict[str, Record],
) -> Block:
    found, plain = columns(config), default(config)
    here = {key for key, t in trained.items() if key == plain or home(identity.changed_options(t)) == (number, part)}
    lines = tuple(
        line(config, number, printed, trained.get(key), key, records)
        for printed, key in identity.arrange(printed_rows, trained)
        if printed or key in here
    )
    labels = ("Experts", "Rates") if number == 3 else ("Type",)
    panel = tuple((real_name(c.dataset), "Top-1") for c in found)
    lines = tuple(replace(line, contest=part) for line in lines)
    return Block(PARTS[part], labels, found, panel, lines, footnotes=order.footnotes(lines))


def line(
    config: Config,
    number: int,
    printed: PublishedRow | None,
    trained: Trained | None,
    key: str,
    records: dict[str, Record],
) -> Line:
    """The line of one row: its measured entries, and its printed numbers if the paper has it. A printed row that no
    variant trains has no `trained`, no key and no record.
    """
    found, record = columns(config), records.get(key)
    missing = Entry(NOT_RUN, _missing(printed) if printed else "")
    cells = tuple(measured_entry(record, column) if record else missing for column in found)
    names = [c.published for c in found]
    return Line(
        labels=_printed_labels(printed) if printed else _labels(number, trained),
        entries=cells,
        published=published(printed, names, cells, config.profile.generated),
        run=key,
        setting=trained.setting if trained else "",
        published_as=identity.WHOLE_MODEL if printed else "",
        mark=order.order_mark(trained),
        extra=printed is None,
        default=printed is not None and not printed.options,
        record=record,
    )


def options_in_words(changed: dict[str, Any]) -> str:
    """Options as `name=value, ...`."""
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "the full model"


def _missing(printed: PublishedRow) -> str:
    frames = printed.labels["frames"]
    return f"no variant of params.yaml trains this on {frames} frames ({options_in_words(printed.options)})"


def _printed_labels(printed: PublishedRow) -> tuple[str, ...]:
    return (printed.labels["section"], printed.name) if printed.labels["section"] else (printed.name,)


def _labels(number: int, trained: Trained) -> tuple[str, ...]:
    """Labels of a row that is not in the paper, from what it trained."""
    if not trained.is_vidprism:
        return (identity.name(trained),) * (2 if number == 3 else 1)
    rates, notes = identity.variant(trained)
    if number == 3:
        return (
            f"{len(rates)} expert{'s' if len(rates) > 1 else ''}",
            identity.noted(", ".join(map(str, rates)), notes),
        )
    return (", ".join([f"rates={rates}", *notes] if rates != list(identity.RATES) else notes) or "the full model",)
