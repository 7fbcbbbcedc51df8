"""What a table found, in one sentence or two, from its filled blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidprism.records.record import MEASURED
from vidprism.report.numbers import signed
from vidprism.report.tables import identity
from vidprism.report.tables.layout import Block, Column, Entry, Line

NOTHING = "Nothing is measured yet; `dvc repro` does."


def finding(number: int, blocks: Sequence[Block]) -> str:
    """The finding of Table `number`: for Tables 1 and 2, how often VidPrism is among the best rows; for Tables 3 to 5,
    which effects are separable from zero.
    """
    measured = [line for block in blocks for line in block.lines if line.status == MEASURED]
    if not measured:
        return NOTHING
    return _among_the_best(blocks[0]) if number <= 2 else _effects(blocks)


def _among_the_best(block: Block) -> str:
    """About the first block, which holds the paper's rows: VidPrism against the rows that it competes with."""
    rows = [line for line in block.lines if line.status == MEASURED]
    own = [line for line in rows if not line.extra and identity.from_record(line.record).is_vidprism]
    sentences = []
    for line in own:
        rivals = [other for other in rows if other is not line and _contest(other) == _contest(line)]
        if not rivals:
            continue
        columns = [i for i, entry in enumerate(line.entries) if entry.status == MEASURED]
        best = [i for i in columns if line.entries[i].best]
        only = [i for i in best if not any(_is_best(other, i) for other in rivals)]
        tied = sorted({other.labels[0] for other in rivals if any(_is_best(other, i) for i in best)})
        text = f"{_named(line)} is among the best rows in {len(best)} of {len(columns)} columns"
        if only:
            text += f", and the only one in {len(only)}"
        if tied:
            text += f"; {_listed(tied)} cannot be told from it in at least one of them"
        sentences.append(f"{text}.")
    return " ".join(sentences) or "No row of VidPrism has a measured row to compete with."


def _named(line: Line) -> str:
    return " ".join([line.labels[0], *(f"({label})" for label in line.labels[1:])])


def _contest(line: Line) -> tuple[str, str, str]:
    return line.contest, line.record["track"], str(line.record["backbone"].get("name"))


def _is_best(line: Line, column: int) -> bool:
    return line.entries[column].status == MEASURED and line.entries[column].best


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _effects(blocks: Sequence[Block]) -> str:
    """About all effects of the table against its default row."""
    found = [(line, column.group, entry) for block in blocks for line, column, entry in _changes(block)]
    told = [(line, group, e) for line, group, e in found if e.change.outcome != "same"]
    if not told:
        return f"None of {len(found)} effects can be told from zero: these data do not decide what this table is about."
    line, group, entry = max(told, key=lambda item: abs(item[2].change.comparison.difference))
    change = entry.change.comparison
    text = (
        f"{len(told)} of {len(found)} effects can be told from zero. The largest: {', '.join(line.labels)} on {group}, "
        f"{signed(change.difference)} points [{signed(change.low)}, {signed(change.high)}]"
    )
    agree = sum(e.change.verdict == "agrees" for _, _, e in told)
    printed = sum(e.change.paper is not None for _, _, e in told)
    return f"{text}. {agree} of the {printed} that the paper prints have its sign." if printed else f"{text}."


def _changes(block: Block) -> Iterable[tuple[Line, Column, Entry]]:
    for line in block.lines:
        for column, entry in zip(block.columns, line.entries, strict=True):
            if entry.change is not None:
                yield line, column, entry
