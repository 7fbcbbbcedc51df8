"""The paper's Tables 1 to 5 as data: every published number, and which training of the suite corresponds to each row.

There is one CSV per table. The last column, `run`, names a method of the suite, and after an @ the kind of encoder if
that is not CLIP; it is empty if the suite has none for the row. In Tables 3 to 5, `options` lists what the row changes
in that method's paper preset, spelled as in params.yaml (empty for the full model), and `frames` is the number given in
the text (32 in Sec. 4.3). `bold` lists the columns that the paper prints in bold. `reference` is the paper's citation
number. Inputs of Table 1 are three integers, in the order of the paper's caption: frames, crops, clips.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LABELS = (
    "part",
    "section",
    "size",
    "method",
    "reference",
    "frames",
    "crops",
    "clips",
    "type",
    "options",
    "bold",
    "run",
)
TUNING = "Tuning"  # the section of Tables 1 and 2 with methods that tune the whole model
TITLES = {
    1: "Performance comparison on Kinetics-400",
    2: "Few-shot comparison on HMDB-51, UCF-101 and SSv2",
    3: "Number of experts and their rates",
    4: "Effect of different supervision",
    5: "The three modules of VidPrism",
}
PARTS = {"": "", "a": "(a) Aggregation", "b": "(b) Interaction", "c": "(c) Combination"}


@dataclass(frozen=True)
class PublishedRow:
    """One printed row: its labels as text (by column), its numbers (None for a dash), which are bold, the corresponding
    method of the suite with the kind of its encoder (VidPrism's follows from its caption), and the options that the row
    changes in that method's paper preset.
    """

    labels: dict[str, str]
    numbers: dict[str, float | None]
    bold: frozenset[str]
    run: str
    options: dict[str, Any]
    encoder: str = "clip"

    @property
    def name(self) -> str:
        """The label of the first column that distinguishes rows: the method, the rates or the type."""
        return self.labels.get("method") or self.labels["type"]


def table_number(table: str | int) -> int:
    """The number of a table, given as a number or as a name (`table3`).

    Raises:
        ValueError: the paper has no such table.
    """
    digits = str(table).removeprefix("table")
    if not digits.isdecimal() or int(digits) not in TITLES:
        raise ValueError(f"the paper has no table '{table}'; it has {', '.join(f'table{n}' for n in TITLES)}")
    return int(digits)


def table_path(table: str | int) -> Path:
    """The CSV of a table.

    Raises:
        ValueError: the paper has no such table.
    """
    return Path(__file__).with_name(f"table{table_number(table)}.csv")


def load_published(table: str | int) -> list[PublishedRow]:
    """The rows of a table (1 to 5) in printed order; accuracies in percent, GFLOPs per view as printed.

    Raises:
        ValueError: the paper has no such table.
    """
    return [_row(line) for line in _lines(table_path(table).name)]


@cache
def tuned() -> dict[str, str]:
    """The suite's methods that the paper lists under "Tuning" (the whole model trains), with their printed names. A
    tuned encoder of another kind is none: there the method is the ordinary one.
    """
    rows = [row for table in (1, 2) for row in load_published(table) if row.run and row.labels["section"] == TUNING]
    rows = [row for row in rows if row.encoder == "clip"]
    return {row.run: row.name.removesuffix(f"-{row.labels.get('size')}") for row in rows}


def remarks(table: str | int) -> tuple[str, ...]:
    """What a reader should know about a table's printed numbers before comparing them with others.

    Raises:
        ValueError: the paper has no such table.
    """
    wanted = str(table_number(table))
    return tuple(line["remark"] for line in _lines("remarks.csv") if line["table"] == wanted)


def release_only() -> list[tuple[str, ...]]:
    """Choices of training and evaluation that appear only in the released code.

    Returns:
        (choice, what this suite does, what the release does, why the suite does not measure it).
    """
    return [tuple(line.values()) for line in _lines("release_only.csv")]


def choices() -> list[dict[str, str]]:
    """Choices that the paper leaves open and that are not lines of the readings page, in the order of the equations.

    Returns:
        Per choice: `choice`, what this `suite` does, its `tag` (stated: the paper says so; open: it allows several
        values, or says two things; choice: it is silent), the `ground`, and the `switch` that can change it ("" if
        there is none).
    """
    return _lines("choices.csv")


def _lines(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _row(line: dict[str, str]) -> PublishedRow:
    numbers = {key: float(text) if text else None for key, text in line.items() if key not in LABELS}
    labels = {key: text for key, text in line.items() if key in LABELS and key not in ("options", "bold", "run")}
    options = yaml.safe_load(f"{{{line.get('options', '')}}}")
    run, _, encoder = line["run"].partition("@")
    return PublishedRow(labels, numbers, frozenset(line["bold"].split()), run, options, encoder or "clip")
