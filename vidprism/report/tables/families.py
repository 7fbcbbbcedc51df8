"""Families of tests (docs/protocol.md): which verdicts, bold entries and ties of a table hold together, by Holm's
steps, and which differences a family can detect.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidprism.evaluation import stats
from vidprism.evaluation.stats import Comparison
from vidprism.records.record import MEASURED
from vidprism.report.tables.cells import compare
from vidprism.report.tables.layout import NOT_SEPARABLE, Block, Change, Entry, Line
from vidprism.report.tables.letters import tie_letters

ALPHA = 1 - stats.LEVEL
SMALLEST = ("smallest", "smallest_single")
Place = tuple[int, int, int]  # block, line, column


@dataclass(frozen=True)
class Family:
    """Tests that are read together: how many there are, how many are separable after Holm, and the smallest difference
    in points that each could have separated, in the family and as a single comparison, sorted (tests of rows with equal
    answers are left out).
    """

    n_tests: int
    n_separable: int
    smallest: tuple[float, ...]
    smallest_single: tuple[float, ...]


def adjusted(comparisons: Sequence[Comparison]) -> np.ndarray:
    """p of each comparison of a family after Holm, (N,); a comparison is separable if p is at most `ALPHA`."""
    return stats.holm([c.p for c in comparisons])


def describe_family(comparisons: Sequence[Comparison]) -> Family:
    """What a family of tests found, and what it could have found."""
    told = (adjusted(comparisons) <= ALPHA).sum() if comparisons else 0
    return Family(len(comparisons), int(told), _smallest(comparisons, len(comparisons)), _smallest(comparisons, 1))


def _smallest(comparisons: Sequence[Comparison], n_tests: int) -> tuple[float, ...]:
    found = (comparison.mean.smallest_separable(n_tests) for comparison in comparisons)
    return tuple(sorted(points for points in found if 0 < points < np.inf))


def verdicts(blocks: Sequence[Block]) -> tuple[list[Block], Family]:
    """Family (a): the verdicts of a table, over all its blocks. A verdict that Holm does not separate is marked as
    such.
    """
    signs = [e.change for block in blocks for line in block.lines for e in line.entries if e.change]
    p_holm = iter(adjusted([sign.comparison for sign in signs])) if signs else iter(())

    def settled(entry: Entry) -> Entry:
        return replace(entry, change=_settled(entry.change, float(next(p_holm)))) if entry.change else entry

    changed = [_with_entries(block, [[settled(e) for e in line.entries] for line in block.lines]) for block in blocks]
    return changed, describe_family([sign.comparison for sign in signs])


def _settled(change: Change, p_holm: float) -> Change:
    return replace(change, p_holm=p_holm, verdict=change.verdict if p_holm <= ALPHA else NOT_SEPARABLE)


def bold(blocks: Sequence[Block]) -> tuple[list[Block], list[Family]]:
    """Family (b): the bold entries of a column: the best measured entry and all entries that Holm over the pairs of the
    column does not separate from it. All pairs count, because the same answers choose the best. Rows compete within one
    contest, one track and one encoder, across blocks. Letters show all ties of the column (`tie_letters`).
    """
    contests: dict[tuple, list[Place]] = defaultdict(list)
    for b, block in enumerate(blocks):
        for i, line in enumerate(block.lines):
            for c, (column, entry) in enumerate(zip(block.columns, line.entries, strict=True)):
                if entry.status == MEASURED:
                    contests[(*_contest(line), column.key)].append((b, i, c))
    best: set[Place] = set()
    letters: dict[Place, str] = {}
    found = []
    for places in contests.values():
        entries = [blocks[b].lines[i].entries[c] for b, i, c in places]
        if len(entries) > 1:
            chosen, tied, family = _best(entries)
            best |= {places[i] for i in chosen}
            letters |= dict(zip(places, tied, strict=True))
            found.append(family)
    return [_with_bold(block, b, best, letters) for b, block in enumerate(blocks)], found


def _contest(line: Line) -> tuple[str, str, str]:
    return line.contest, line.record["track"], str(line.record["backbone"].get("name"))


def _best(entries: Sequence[Entry]) -> tuple[set[int], list[str], Family]:
    """Which entries are the best or not separable from it, the letters of all, and the family of all pairs."""
    top = max(range(len(entries)), key=lambda i: entries[i].mean)
    pairs = list(itertools.combinations(range(len(entries)), 2))
    comparisons = [compare(entries[i], entries[j]) for i, j in pairs]
    apart = {pair for pair, p in zip(pairs, adjusted(comparisons), strict=True) if p <= ALPHA}
    chosen = {i for i in range(len(entries)) if (min(i, top), max(i, top)) not in apart}
    return chosen, tie_letters([e.mean for e in entries], sorted(apart)), describe_family(comparisons)


def _with_bold(block: Block, b: int, best: set[Place], letters: dict[Place, str]) -> Block:
    rows = [
        [replace(e, best=(b, i, c) in best, letters=letters.get((b, i, c), "")) for c, e in enumerate(line.entries)]
        for i, line in enumerate(block.lines)
    ]
    return _with_entries(block, rows)


def _with_entries(block: Block, rows: Iterable[Iterable[Entry]]) -> Block:
    lines = (replace(line, entries=tuple(row)) for line, row in zip(block.lines, rows, strict=True))
    return replace(block, lines=tuple(lines))


def caption(blocks: Sequence[Block], signs: Family, columns: Sequence[Family]) -> tuple[tuple[str, str], ...]:
    """The caption's facts about draws, groups and tests, as (name, value) pairs; empty if nothing is measured."""
    if not any(line.status == MEASURED for block in blocks for line in block.lines):
        return ()
    found = [("Draws and groups", sampled(blocks))]
    if signs.n_tests:
        found.append(("Verdicts", f"family (a) of the protocol: {in_words(signs)}"))
    if columns:
        found.append(("Bold", f"family (b) of the protocol: {_columns_in_words(columns)}"))
    return tuple(found)


def in_words(family: Family) -> str:
    """A family's finding, its smallest separable difference, and how many false verdicts to expect."""
    n = family.n_tests
    finding = f"{family.n_separable} separable" if family.n_separable else "none separable: these data cannot tell"
    return (
        f"{n} tests, Holm at {ALPHA:.0%}, {finding}. {smallest(family.smallest, family.smallest_single)} "
        f"False verdicts to expect: at most {ALPHA:.2f} (without Holm {ALPHA * n:.2g})."
    )


def _columns_in_words(columns: Sequence[Family]) -> str:
    n = len(columns)
    tests = [family.n_tests for family in columns]
    told = sum(family.n_separable for family in columns)
    pairs = f"{min(tests)} to {max(tests)}" if min(tests) < max(tests) else f"{tests[0]}"
    finding = f"{told} of {sum(tests)} pairs separable" if told else "no pair separable: these data cannot tell"
    return (
        f"{n} columns of one track and one encoder, each with Holm at {ALPHA:.0%} over its {pairs} pairs, {finding}. "
        f"{smallest(*([x for family in columns for x in getattr(family, name)] for name in SMALLEST))} "
        f"Columns with a false separation to expect: at most {ALPHA * n:.2g} "
        f"(without Holm {ALPHA * sum(tests):.2g} pairs)."
    )


def smallest(values: Sequence[float], single: Sequence[float]) -> str:
    """The smallest separable differences of a family's tests in words: median and range, in points, and the median for
    a single comparison.
    """
    if not len(values):
        return (
            "There is no smallest separable difference: the rows give equal answers, or there is one group of videos."
        )
    median, low, high = np.median(values), min(values), max(values)
    return (
        f"Smallest separable difference: median {median:.1f} points, {low:.1f} to {high:.1f}; in a single comparison "
        f"{np.median(single):.1f}."
    )


def sampled(blocks: Sequence[Block]) -> str:
    """The numbers of draws (of seeds if there are no shots) and of groups of the measured entries, by column."""
    numbers: dict[str, set[int]] = {"draws": set(), "seeds": set()}
    counts: dict[str, set[str]] = defaultdict(set)
    for block in blocks:
        for line in block.lines:
            for column, entry in zip(block.columns, line.entries, strict=True):
                if entry.status == MEASURED:
                    numbers["seeds" if column.shots is None else "draws"].add(entry.accuracy.n_draws)
                    counts[column.group].add(_groups(entry))
    if not counts:
        return "nothing measured"
    said = [f"{n} {word}" for word, found in numbers.items() for n in sorted(found - {1}, reverse=True)]
    if 1 in numbers["draws"] | numbers["seeds"]:
        said.append("or one where nothing in a row is random or it has one repeat (then over groups only)")
    return "; ".join([", ".join(said), *(f"{name} {' or '.join(sorted(found))}" for name, found in counts.items())])


def _groups(entry: Entry) -> str:
    if not entry.groups_known:
        return f"{entry.n_scored} videos, each its own group, because its result is older than groups (too narrow)"
    if entry.of_video is None:
        return f"{entry.n_scored} videos, each its own group"
    return f"{entry.accuracy.n_groups} groups of {entry.n_scored} videos"
