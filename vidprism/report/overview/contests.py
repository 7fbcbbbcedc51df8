"""VidPrism against each other measured method: all cells that both have on one track and one encoder, paired, and
judged together (family (c) of docs/protocol.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from vidprism.config import Config, Profile
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.evaluation.stats import Comparison
from vidprism.records.record import MEASURED, Record
from vidprism.report.charts import Effect
from vidprism.report.tables import families, identity
from vidprism.report.tables.cells import compare, measured_entry
from vidprism.report.tables.families import Family
from vidprism.report.tables.identity import ENCODERS, Trained
from vidprism.report.tables.layout import Column, Entry, heading

SOURCES = ("few_shot", "closed_set")  # groups whose rows are methods, in the order of their cells
CellPlace = tuple[str, str, int | None, int]  # group, dataset, shots, frames


@dataclass
class Contender:
    """A method in a contest: its name with its options, its own label (the name if two methods share a label), its name
    under `methods`, its entries by cell, and its run pages (below `reports/`). `is_subject`: VidPrism as the paper
    describes it; `is_vidprism`: in any reading.
    """

    name: str
    label: str
    method: str
    is_subject: bool
    is_vidprism: bool
    runs: list[str] = field(default_factory=list)
    entries: dict[CellPlace, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """The subject against one other method: an effect for each cell that both have, the comparisons behind them, their
    p after Holm, and their family.
    """

    subject: Contender
    opponent: Contender
    cells: tuple[CellPlace, ...]
    effects: tuple[Effect, ...]
    comparisons: tuple[Comparison, ...]
    p_holm: tuple[float, ...]
    family: Family

    def count(self, verdict: str) -> int:
        """How many effects have a verdict: better, same or worse."""
        return sum(effect.verdict == verdict for effect in self.effects)

    @property
    def tests(self) -> str:
        """The family in words, for example `14 tests, Holm at 5%`."""
        n = len(self.effects)
        return f"{n} test{'s' if n > 1 else ''}, Holm at {families.ALPHA:.0%}"

    @property
    def sharpness(self) -> str:
        """The smallest difference that a test of the family separates in the median, for example `9.4 points`; "" if
        there is none.
        """
        return f"{np.median(self.family.smallest):.1f} points" if self.family.smallest else ""


@dataclass(frozen=True)
class Contest:
    """The methods measured on one track and one encoder, and the matches of VidPrism there (none if it is not
    measured).
    """

    track: str
    encoder: str
    contenders: tuple[Contender, ...]
    matches: tuple[Match, ...]

    @property
    def title(self) -> str:
        """VidPrism's name with the track and the encoder in words."""
        where = identity.FROZEN_FEATURES if self.track == "frozen" else f"on the {self.track} track"
        return f"{self.matches[0].subject.label if self.matches else 'Methods'} {where} ({self.encoder})"


def find_contests(config: Config) -> tuple[Contest, ...]:
    """All contests of the profile, in the order of its rows.

    Raises:
        ResultsError: a results file that cannot be read, or results that do not belong together.
    """
    places: dict[tuple[str, str], dict[str, Contender]] = {}
    for group in SOURCES:
        records = results.load_results(config, group)
        for key in rows(config, group):
            if records[key]["status"] == MEASURED:
                _add(config.profile, places, group, records[key])
    found = ((*place, _with_own_labels(contenders.values())) for place, contenders in places.items())
    return tuple(
        Contest(track, encoder, contenders, tuple(_matches(config.profile, contenders)))
        for track, encoder, contenders in found
    )


def cell_label(profile: Profile, cell: CellPlace) -> str:
    """`mini-UCF K=4`; with its frames where the training list is whole: `mini-K400 8 frames`."""
    _, dataset, shots, frames = cell
    return f"{heading(profile, dataset)} {f'{frames} frames' if shots is None else f'K={shots}'}"


def is_paper_reading(trained: Trained) -> bool:
    """Whether a row trained VidPrism as the paper describes it, on the kind of encoder that the paper uses for it."""
    if not trained.is_vidprism or trained.encoder != ENCODERS[trained.head]:
        return False
    return trained.options["reading"] == "paper" and not identity.changed_options(trained)


def _add(profile: Profile, places: dict[tuple[str, str], dict[str, Contender]], group: str, record: Record) -> None:
    """Add the cells of a row to its method. Two rows that look the same are told apart by their keys."""
    trained = identity.from_record(record)
    here = places.setdefault((record["track"], str(record["backbone"].get("name"))), {})
    cells: list[CellPlace] = [(group, cell["dataset"], cell["shots"], cell["frames"]) for cell in record["cells"]]
    name = identity.name(trained)
    if name in here and here[name].entries.keys() & set(cells):
        name = f"{name} [{record['row']}]"
    new = Contender(name, trained.label, record["method"], is_paper_reading(trained), trained.is_vidprism)
    contender = here.setdefault(name, new)
    contender.runs.append(f"runs/{profile.name}/{group}/{record['row']}.html")
    for cell in cells:
        column = Column(cell[1], cell[2], "top1", heading(profile, cell[1]), cell_label(profile, cell), "")
        contender.entries[cell] = measured_entry(record, column)


def _with_own_labels(contenders: Iterable[Contender]) -> tuple[Contender, ...]:
    found = tuple(contenders)
    seen = Counter(c.label for c in found)
    return tuple(replace(c, label=c.name) if seen[c.label] > 1 else c for c in found)


def _matches(profile: Profile, contenders: tuple[Contender, ...]) -> Iterable[Match]:
    for subject in (c for c in contenders if c.is_subject):
        for opponent in contenders:
            cells = tuple(cell for cell in subject.entries if cell in opponent.entries)
            if opponent is not subject and cells:
                yield _match(profile, subject, opponent, cells)


def _match(profile: Profile, subject: Contender, opponent: Contender, cells: tuple[CellPlace, ...]) -> Match:
    comparisons = tuple(compare(subject.entries[cell], opponent.entries[cell]) for cell in cells)
    p_holm = tuple(map(float, families.adjusted(comparisons)))
    effects = tuple(
        Effect(cell_label(profile, cell), c.difference, c.low, c.high, _verdict(c, p))
        for cell, c, p in zip(cells, comparisons, p_holm, strict=True)
    )
    return Match(subject, opponent, cells, effects, comparisons, p_holm, families.describe_family(comparisons))


def _verdict(comparison: Comparison, p_holm: float) -> str:
    if p_holm > families.ALPHA:
        return "same"
    return "better" if comparison.sign > 0 else "worse"
