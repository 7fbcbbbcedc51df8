"""Families of tests: Holm over the verdicts of a table, over the pairs of a column and over the cells against one
opponent, and what captions say of them.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.fake_results import fake_config, fake_record, write_all
from vidprism.config import Config
from vidprism.config.rows import rows
from vidprism.evaluation import results, stats
from vidprism.records.record import Record, ResultsError
from vidprism.report import readings_page, tables
from vidprism.report.tables import cells, families
from vidprism.report.tables.layout import Column, Entry, Line, Table

COLUMN = Column("ucf101", 16, "top1", "mini-UCF", "K=16", "")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config, {"rates_2": 0.3, "vidprism_m-mini_videomae": 0.8, "vidprism_c": 0.95, "to_act": 0.9})
    return config


def _caption(table: Table) -> dict[str, str]:
    return dict(table.setting)


def _record(config: Config, answers: list[str], groups: str | None = None) -> Record:
    record = fake_record(config, rows(config, "ablations")["default"])
    cell = record["cells"][0]
    cell |= {"n_listed": len(answers[0]), "n_scored": len(answers[0]), "groups": groups}
    for repeat, text in zip(cell["repeats"], answers, strict=False):
        repeat["correct"] = repeat["correct5"] = text
    del cell["repeats"][len(answers) :]
    return record


def test_a_difference_that_is_significant_alone_is_not_in_a_family(config: Config) -> None:
    """One p of 0.01 among twenty-six verdicts tells nothing; alone it would."""
    comparison = stats.Comparison(5.0, 1.0, 9.0, 0.01, stats.Mean(5.0, 1.0, 1.0, 0.0, 5, 40))
    rest = [dataclasses.replace(comparison, p=p) for p in np.linspace(0.2, 1, 25)]
    assert families.adjusted([comparison]) <= families.ALPHA < families.adjusted([comparison, *rest])[0]
    single, family = families.describe_family([comparison]), families.describe_family([comparison, *rest])
    assert family.n_separable == 0 < single.n_separable
    assert family.smallest_single[0] == single.smallest[0] < family.smallest[0]


def test_verdicts_of_a_table_are_one_family(config: Config) -> None:
    table = tables.build_table(config, 3)
    signs = [entry.change for line in table.lines for entry in line.entries if entry.change]
    expected = stats.holm([sign.comparison.p for sign in signs])
    assert len(signs) == 26 and [sign.p_holm for sign in signs] == pytest.approx(expected.tolist())
    for sign in signs:
        assert (sign.verdict == "not separable") == (sign.p_holm > 0.05)
    assert {sign.verdict for sign in signs} == {"agrees", "not separable"}
    words = _caption(table)["Verdicts"]
    assert words.startswith("family (a) of the protocol: 26 tests, Holm at 5%, 2 separable. Smallest separable diff")
    assert "False verdicts to expect: at most 0.05 (without Holm 1.3)." in words and "in a single comparison " in words


def test_a_table_where_nothing_survives_says_so(config: Config) -> None:
    assert "none separable: these data cannot tell" in _caption(tables.build_table(config, 5))["Verdicts"]


def test_captions_name_draws_and_groups(config: Config, tmp_path: Path) -> None:
    said = _caption(tables.build_table(config, 2))["Draws and groups"]
    assert said.startswith("5 draws; ")
    assert (
        _caption(tables.build_table(config, 1))["Draws and groups"]
        == "5 seeds; mini-K400 119 videos, each its own group"
    )
    assert "mini-UCF 40 groups of 119 videos" in said
    assert "mini-SSv2 119 videos, each its own group" in said and "older" not in said
    old = fake_config(tmp_path)
    records = [fake_record(old, row) for row in rows(old, "ablations").values()]
    for record in records:
        for cell in record["cells"]:
            del cell["groups"]
    results.write_results(old, "ablations", records)
    assert (
        "because its result is older than groups (too narrow)"
        in _caption(tables.build_table(old, 4))["Draws and groups"]
    )
    assert not {"Draws and groups", "Bold"} & _caption(tables.build_table(fake_config(tmp_path / "none"), 2)).keys()


def test_one_repeat_is_an_interval_over_groups_only(config: Config) -> None:
    groups = " ".join(str(i // 4) for i in range(40))
    entry = cells.measured_entry(_record(config, ["1101" * 5 + "0010" * 5], groups), COLUMN)
    assert entry.parts[0] is None and entry.parts[1] == pytest.approx(entry.half_width) and entry.accuracy.n_draws == 1
    several = cells.measured_entry(_record(config, ["1101" * 5 + "0010" * 5] * 3, groups), COLUMN)
    assert (several.half_width, several.parts[0]) == (pytest.approx(entry.half_width), None)


def test_bold_competes_within_one_encoder_across_blocks(config: Config, tmp_path: Path) -> None:
    """VidPrism-M stands among rows on CLIP; what it is better than, and what bears no bold, are its controls."""
    main, clips, _ = tables.build_table(config, 2).blocks

    def bold(line: Line) -> set[bool]:
        return {entry.best for entry in line.entries}

    by_run = {line.run: line for block in (main, clips) for line in block.lines}
    assert bold(by_run["vidprism_m-mini_videomae"]) == {True} == bold(by_run["vidprism_c"])
    assert False in bold(by_run["mean_pool-mini_videomae"]) and "competes only with the other rows on" in main.note
    other = fake_config(tmp_path)
    write_all(other, {"vidprism_m-mini_videomae": 0.3, "vidprism_c": 0.95})
    main, clips, _ = tables.build_table(other, 2).blocks
    by_run = {line.run: line for block in (main, clips) for line in block.lines}
    assert False in bold(by_run["vidprism_m-mini_videomae"])
    assert bold(by_run["mean_pool-mini_videomae"]) == {True}


def test_bold_holds_over_all_pairs_of_a_column() -> None:
    """Pairs, not comparisons with the best alone: the best is chosen by the same answers."""
    rng = np.random.default_rng(0)
    answers = [(rng.random((5, 200)) < p).astype(np.int8) for p in (0.9, 0.5, 0.5)]
    found = [Entry("measured", accuracy=stats.accuracy(a), seeds=tuple(range(5)), answers=a) for a in answers]
    chosen, _, family = families._best(found)
    assert chosen == {0} and (family.n_tests, family.n_separable) == (3, 2)


def test_results_in_other_groups_are_refused(config: Config) -> None:
    texts = ["1100" * 10, "1010" * 10]
    sides = [cells.measured_entry(_record(config, texts, groups), COLUMN) for groups in (" ".join("0" * 40), None)]
    with pytest.raises(ResultsError, match="in other groups"):
        cells.compare(*sides)
    old = dataclasses.replace(sides[1], groups_known=False)
    assert cells.compare(sides[0], old).mean.n_groups == cells.compare(old, sides[0]).mean.n_groups == 1


def test_changes_of_the_readings_page_are_families_against_one_opponent(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    write_all(config, {"to_act": 0.9})
    page = readings_page.build_readings(config)
    changes = [c for s in page.switches for c in s.changes] + [*page.preset] + [c for _, cs in page.others for c in cs]
    p = stats.holm([change.comparison.p for change in changes])
    assert [change.separable for change in changes] == (p <= 0.05).tolist() and 0 < (p <= 0.05).sum() < len(p)
    assert page.tests.startswith(
        f"Family (c) of the protocol, the cells against the default row: {len(changes)} tests, Holm at 5%, "
    )
    assert f"the cells against the paper's reading: {len(page.methods)} tests" in page.tests_of_methods
