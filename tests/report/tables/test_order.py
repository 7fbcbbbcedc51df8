"""The mark of order-blind rows in the tables, and what is said of the effects that agree with the paper."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.fake_results import fake_config, fake_record, write_all
from vidprism.config.rows import rows
from vidprism.evaluation.stats import Comparison, Mean
from vidprism.report import tables
from vidprism.report.tables import identity, order
from vidprism.report.tables.layout import Change, Entry, Line


def line(mark: str, *verdicts: str) -> Line:
    comparison = Comparison(1.0, 0.5, 1.5, 0.01, Mean(1.0, 0.1, 0.1, 0.0, 5, 84))
    entries = tuple(Entry("measured", change=Change(1, 1, verdict, comparison)) for verdict in verdicts)
    return Line(("a",), (*entries, Entry("not run")), (), mark=mark)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [line("‡", "agrees", "agrees"), line("", "opposite")],
            "Every effect on this page that agrees with the paper (2)",
        ),
        ([line("‡", "opposite"), line("", "agrees")], "No effect on this page that agrees with the paper (1)"),
        ([line("‡", "agrees"), line("", "agrees", "agrees")], "agree with the paper: 3. Of these, 1 from"),
        ([line("‡", "not separable"), line("", "opposite")], ""),
        ([line("", "agrees")], ""),  # a page without marked rows
    ],
)
def test_what_is_said_of_the_effects_that_agree(lines: list[Line], expected: str) -> None:
    said = order.agreement(lines)
    assert expected in said and bool(said) == bool(expected)


def test_rows_of_tables_3_and_5b_are_marked(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    write_all(config)
    built = {number: tables.build_table(config, number) for number in (3, 4, 5)}
    marked = {number: {x.run for x in table.lines if x.mark} for number, table in built.items()}
    assert marked == {
        3: {"rates_2", "rates_4", "rates_8", "rates_16"},
        4: set(),
        5: {"int_none", "int_slow2fast"},
    }
    assert [bool(block.footnotes) for block in built[5].blocks] == [False, True, False]


def test_an_encoder_of_clips_knows_the_order(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    for key, options, mark in (
        ("vidprism_c", {"interaction": "none"}, "‡"),
        ("vidprism_m-mini_videomae", {"interaction": "none"}, ""),
        ("vidprism_c", {}, ""),
        ("mean_pool", {}, ""),
    ):
        row = dataclasses.replace(rows(config, "few_shot")[key], options=options)
        assert order.order_mark(identity.from_record(fake_record(config, row))) == mark
    assert order.order_mark(None) == ""
