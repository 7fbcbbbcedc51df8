"""The parts of a table before it becomes HTML or CSV: blocks of lines, lines of entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vidprism.complexity.published import Check
from vidprism.config import Profile
from vidprism.evaluation.stats import Comparison, Mean
from vidprism.records.record import MEASURED, Record, cell_key

BETTER, WORSE, NOT_SEPARABLE = "better", "worse", "not separable"
WIDEST_PRINTED = 6  # measured columns that fit on a sheet of paper
REPORTED = "reported"  # the paper prints a number, and the suite has no run for the row
ELSEWHERE = "elsewhere"  # another profile has measured the row; it is shown and never compared

# Heading of a dataset: its name, and the name of its generated counterpart.
HEADINGS = {
    "hmdb51": ("HMDB-51", "mini-HMDB"),
    "kinetics400": ("Kinetics-400", "mini-K400"),
    "ssv2": ("SSv2", "mini-SSv2"),
    "ucf101": ("UCF-101", "mini-UCF"),
}


@dataclass(frozen=True)
class Column:
    """A measured column: one metric of one cell of every row. `published` names its twin in the paper's
    CSV.
    """

    dataset: str
    shots: int | None
    metric: str
    group: str
    heading: str
    published: str

    @property
    def key(self) -> str:
        """Name in the CSV, for example `hmdb51_k4_top1`."""
        return f"{self.cell}_{self.metric}"

    @property
    def cell(self) -> str:
        """Name of the cell it shows, for example `hmdb51_k4`."""
        return cell_key(self.dataset, self.shots)


@dataclass(frozen=True)
class Change:
    """Change of a row against the default row: the paired comparison, its sign, the sign and the change in points that
    the paper prints (None if it does not print both rows), and its p after Holm among the effects of the table.
    """

    paper: int | None
    measured: int
    verdict: str  # agrees, opposite, differs; better, worse for rows that are not in the paper; or NOT_SEPARABLE
    comparison: Comparison
    p_holm: float = 1.0
    printed: float | None = None

    @property
    def outcome(self) -> str:
        """`better` or `worse` than the default row, or `same` if the effect is not separable from zero."""
        if self.verdict == NOT_SEPARABLE or not self.measured:
            return "same"
        return BETTER if self.measured > 0 else WORSE


@dataclass(frozen=True)
class Entry:
    """One measured cell of a line, or the reason why there is none. Accuracies are in percent: `accuracy` over draws
    and groups of test videos, and the intervals over repeats only and over groups only.
    """

    status: str  # measured, not run, reported, rehearsed, elsewhere
    reason: str = ""
    accuracy: Mean | None = None
    repeats: tuple[float, float] | None = None
    groups: tuple[float, float] | None = None
    n_scored: int = 0
    n_listed: int = 0
    best: bool = False
    letters: str = ""  # rows of the column that share a letter cannot be told apart
    change: Change | None = None
    seeds: tuple[int, ...] = ()
    made_with: str = ""  # the profile and the hash of the backbone's weights
    answers: np.ndarray | None = field(default=None, compare=False, repr=False)
    of_video: np.ndarray | None = field(default=None, compare=False, repr=False)  # group numbers; None: no groups
    groups_known: bool = True  # False: the record is older than its groups
    # accuracy in percent within pairs of opposites, with its interval; None if the dataset has no such pairs
    within_pairs: tuple[float, float, float] | None = None

    @property
    def mean(self) -> float | None:
        """Accuracy in percent, the mean over repeats."""
        return None if self.accuracy is None else self.accuracy.value

    @property
    def half_width(self) -> float | None:
        """Half of the interval over draws and groups, in points: the number after the plus-minus sign. None with a
        single group of videos, which says nothing about others.
        """
        return None if self.accuracy is None or self.accuracy.n_groups == 1 else float(self.accuracy.half_width())

    @property
    def parts(self) -> tuple[float | None, float | None]:
        """Half of the interval over draws only and over groups only, in points; None if there is no such interval."""
        if self.accuracy is None:
            return None, None
        draws = None if self.accuracy.n_draws == 1 else (self.repeats[1] - self.repeats[0]) / 2
        return draws, None if self.accuracy.n_groups == 1 else (self.groups[1] - self.groups[0]) / 2


@dataclass(frozen=True)
class Published:
    """One number of the paper as printed; `difference` (measured minus published) exists only on the paper's data."""

    value: float | None
    bold: bool = False
    difference: float | None = None

    @property
    def text(self) -> str:
        """The number with the paper's digits (one for accuracies, none for GFLOPs), or a dash if none is printed."""
        if self.value is None:
            return "–"
        return f"{self.value:.0f}" if self.value > 100 else f"{self.value:.1f}"


@dataclass(frozen=True)
class Line:
    """One row of a table. `run` is the row key of the suite; `extra` marks rows that are not in the paper; `facts`
    follow the measured cells, `cost` follows the printed ones.
    """

    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    section: str = ""
    contest: str = ""  # bold compares within one contest, one track and one encoder
    run: str = ""
    reference: str = ""
    mark: str = ""  # added to the name; the notes of the block explain it
    setting: str = ""  # the trained part of the model, if the paper trains all of it
    published_as: str = ""  # how the printed numbers of its section were obtained
    extra: bool = False
    default: bool = False
    elsewhere: tuple[str, str] | None = None  # profile and key of the row in another profile that has measured it
    facts: tuple[str, ...] = ()
    cost: Check | None = None
    record: Record | None = field(default=None, compare=False, repr=False)

    @property
    def status(self) -> str:
        """The common status of its entries: measured if any entry is, elsewhere if another profile has measured any."""
        found = [entry.status for entry in self.entries]
        return next((status for status in (MEASURED, ELSEWHERE) if status in found), found[0])

    @property
    def has_numbers(self) -> bool:
        """Whether a number of the suite stands in the line, measured here or elsewhere."""
        return self.status in (MEASURED, ELSEWHERE)

    @property
    def n_trials(self) -> int:
        """How many values the search behind this row tried; 0 for a row that is not measured."""
        return len(self.record["search"]["trials"]) if self.record and self.status == "measured" else 0


@dataclass(frozen=True)
class Block:
    """Lines that share columns: the whole table, one of the three parts of Table 5, or the tuned track of
    Table 2.
    """

    title: str
    label_headings: tuple[str, ...]
    columns: tuple[Column, ...]
    published_headings: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    fact_headings: tuple[str, ...] = ()
    check_headings: tuple[str, ...] = ()
    with_changes: bool = False
    note: str = ""
    footnotes: tuple[str, ...] = ()

    @property
    def setting(self) -> str:
        """The setting common to all lines with a run; "" if they differ."""
        shared = {line.setting for line in self.lines if line.run}
        return shared.pop() if len(shared) == 1 else ""

    @property
    def panel_heading(self) -> str:
        """The heading of the printed numbers. If a section says how its numbers were obtained, its own line shows
        that.
        """
        printed = [line for line in self.lines if not line.section and any(p.value is not None for p in line.published)]
        marked = {line.labels[0]: line.published_as for line in printed if line.published_as}
        if marked and all(line.published_as for line in printed):
            return next(iter(marked.values()))
        return "; ".join(["Published by the paper", *(f"{name}: {text}" for name, text in marked.items())])

    @property
    def measured_first(self) -> tuple[Line, ...]:
        """The lines as a page shows them: those with a measurement, then the others, each in the table's order."""
        return tuple(sorted(self.lines, key=lambda line: not line.has_numbers))

    def n_columns(self, chosen: Sequence[int]) -> int:
        """Columns of a table that shows the chosen measured columns and everything beside them."""
        beside = len(self.published_headings) - len(self.columns) + len(self.fact_headings) + len(self.check_headings)
        return len(self.label_headings) + len(chosen) * (2 if self.with_changes else 1) + beside

    @property
    def print_parts(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """How the block is printed: as one table, or, if it is too wide for a sheet, as one table for each group of
        columns, as (group, numbers of its columns).
        """
        if len(self.columns) <= WIDEST_PRINTED:
            return (("", tuple(range(len(self.columns)))),)
        parts: dict[str, list[int]] = {}
        for i, column in enumerate(self.columns):
            parts.setdefault(column.group, []).append(i)
        return tuple((group, tuple(found)) for group, found in parts.items())


@dataclass(frozen=True)
class Table:
    """A table of the paper, filled: title, the setting its numbers were measured in, blocks, remarks on the
    printed numbers, the finding in a sentence, further findings, and the charts of each block.
    """

    number: int
    title: str
    profile: str
    generated: bool
    setting: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    remarks: tuple[str, ...]
    finding: str = ""
    findings: tuple[str, ...] = ()
    figures: tuple[Any, ...] = ()  # tables.figures.Figures
    results: str = ""  # the group of rows whose results file it reads

    @property
    def lines(self) -> list[Line]:
        """All lines of all blocks."""
        return [line for block in self.blocks for line in block.lines]

    @property
    def has_pairs(self) -> bool:
        """Whether a cell has an accuracy within pairs of opposites."""
        return any(entry.within_pairs for line in self.lines for entry in line.entries)

    @property
    def n_reported(self) -> int:
        """Lines without a measurement."""
        return sum(not line.has_numbers for line in self.lines)

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that lines stand in, in order."""
        return tuple(dict.fromkeys(line.section for line in self.lines if line.section))


def heading(profile: Profile, dataset: str) -> str:
    """What a measured column is headed: `mini-UCF` on generated data, `UCF-101` on the real one."""
    real, stand_in = HEADINGS.get(dataset, (dataset, f"mini-{dataset}"))
    return stand_in if profile.generated else real


def real_name(dataset: str) -> str:
    """The dataset's own name, for the published panel."""
    return HEADINGS.get(dataset, (dataset, ""))[0]
