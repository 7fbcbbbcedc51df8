"""Measured entries of a table: from a record's cells, with their intervals and signs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidprism.evaluation import results, stats
from vidprism.paper import PublishedRow
from vidprism.records.record import MEASURED, NOT_RUN, Cell, Record, ResultsError
from vidprism.report.tables.layout import BETTER, WORSE, Block, Change, Column, Entry, Line, Published

ANSWERS: dict[str, results.Answers] = {"top1": "correct", "top5": "correct5"}


def measured_entry(record: Record, column: Column) -> Entry:
    """The record's entry in one column; without a run, the entry says so."""
    if record["status"] != MEASURED:
        return Entry(record["status"], record.get("reason", ""))
    cell = results.find_cell(record, column.dataset, column.shots)
    if cell is None:
        return Entry(NOT_RUN, "this row has no such cell in the profile")
    key = ANSWERS[column.metric]
    answers, of_video = results.cell_answers(cell, key), results.groups(cell)
    repeats, groups = stats.single_factor(answers, of_video)
    return Entry(
        MEASURED,
        accuracy=results.cell_accuracy(cell, key),
        repeats=repeats,
        groups=groups,
        n_scored=cell["n_scored"],
        n_listed=cell["n_listed"],
        seeds=tuple(r["seed"] for r in cell["repeats"]),
        made_with=f"profile {record['profile']}, weights {record['backbone'].get('weights_sha256', 'unknown')[:12]}",
        answers=answers,
        of_video=of_video,
        groups_known="groups" in cell,
        within_pairs=_within_pairs(cell) if key == "correct" else None,
    )


def _within_pairs(cell: Cell) -> tuple[float, float, float] | None:
    found = cell.get("within_pairs")
    return (found["mean"], found["ci95"][0], found["ci95"][1]) if found else None


def compare(a: Entry, b: Entry) -> stats.Comparison:
    """Entry a minus entry b, paired over the groups of test videos and over the repeats (seeds and draws) that both
    have. If one of the two records is older than its groups, the groups of the other are used.

    Raises:
        ResultsError: the two were measured on different videos or in different groups, in different profiles or with
            other weights of the backbone, or share no repeat.
    """
    if a.made_with != b.made_with:
        raise ResultsError(
            f"cannot pair two results of one column: one was made with {a.made_with}, the other with {b.made_with}; "
            "run `dvc repro`, or `python -m tools.repro_one ROW PROFILE` for a row measured elsewhere"
        )
    answers_a, answers_b = a.answers, b.answers
    if len(answers_a) > 1 and len(answers_b) > 1:
        shared = [seed for seed in a.seeds if seed in b.seeds]
        answers_a = answers_a[[a.seeds.index(s) for s in shared]]
        answers_b = answers_b[[b.seeds.index(s) for s in shared]]
    if answers_a.shape[1] != answers_b.shape[1] or 0 in (len(answers_a), len(answers_b)):
        raise ResultsError(
            f"cannot pair two results of one column, {answers_a.shape} and {answers_b.shape} (repeats in "
            "common, test videos): one of them is out of date, run `dvc repro`"
        )
    of_video = a.of_video if a.groups_known else b.of_video
    if a.groups_known and b.groups_known and not np.array_equal(a.of_video, b.of_video):
        raise ResultsError(
            "cannot pair two results of one column: their test videos are in other groups, so one of them is out of "
            "date; run `dvc repro`"
        )
    return stats.paired(answers_a, answers_b, of_video)


def add_changes(block: Block) -> Block:
    """For each measured entry of an ablation, its effect against the default row: the difference, its sign, and its
    sign in the paper if the paper prints both. `families.verdicts` decides over the whole table which effects are
    separable.
    """
    default = next((line for line in block.lines if line.default), None)
    if default is None:
        return block
    lines = [line if line.default else _line_with_changes(line, default) for line in block.lines]
    return replace(block, lines=tuple(lines), with_changes=True)


def _line_with_changes(line: Line, default: Line) -> Line:
    return replace(
        line, entries=tuple(map(_with_change, line.entries, default.entries, line.published, default.published))
    )


def _with_change(entry: Entry, default: Entry, printed: Published, printed_default: Published) -> Entry:
    if None in (entry.mean, default.mean):
        return entry
    found = compare(entry, default)
    if None in (printed.value, printed_default.value):
        return replace(entry, change=Change(None, found.sign, BETTER if found.sign > 0 else WORSE, found))
    of_paper = round(printed.value - printed_default.value, 6)
    sign = int(np.sign(of_paper))
    agreement = {1: "agrees", -1: "opposite", 0: "agrees" if sign == found.sign else "differs"}[sign * found.sign]
    return replace(entry, change=Change(sign, found.sign, agreement, found, printed=of_paper))


def published(
    row: PublishedRow | None, names: list[str], entries: tuple[Entry, ...], generated: bool
) -> tuple[Published, ...]:
    """The panel of a line: the printed numbers and, on the paper's own data, measured minus published.

    `names` are the paper's columns, those of `entries` first. On generated data there is no difference, because it
    would be meaningless.
    """
    if row is None:
        return tuple(Published(None) for _ in names)
    means = [entry.mean for entry in entries] + [None] * (len(names) - len(entries))
    panel = []
    for name, mean in zip(names, means, strict=True):
        value = row.numbers.get(name)  # None for a dataset or a K without a column in the paper
        panel.append(Published(value, name in row.bold, None if generated or None in (mean, value) else mean - value))
    return tuple(panel)
