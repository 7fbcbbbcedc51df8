"""The finding of a table in a sentence, and its charts."""

import dataclasses
from pathlib import Path

import pytest

from tests.fake_results import REPO, fake_config, write_all
from vidprism import paper
from vidprism.config import load_config
from vidprism.config.rows import rows
from vidprism.report import tables
from vidprism.report.tables.finding import NOTHING
from vidprism.report.tables.layout import Table


def built(tmp_path: Path, accuracy: dict[str, float]) -> dict[int, Table]:
    config = fake_config(tmp_path)
    write_all(config, accuracy)
    return {number: tables.build_table(config, number) for number in paper.TITLES}


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Table]:
    accuracy = {"vidprism_c": 0.95, "vidprism_c_32": 0.95, "rates_2": 0.2, "comb_mlp": 0.99}
    others = dict.fromkeys(rows(load_config("mini", REPO), "few_shot"), 0.4)
    return built(tmp_path_factory.mktemp("won"), others | accuracy)


def test_a_clear_winner_is_said(won: dict[int, Table]) -> None:
    text = won[2].finding
    assert text.startswith("VidPrism-C is among the best rows in 12 of 12 columns, and the only one in 12.")
    assert "cannot be told" not in text


def test_a_tie_is_said(tmp_path: Path) -> None:
    text = built(tmp_path, {})[2].finding
    assert "among the best rows in 12 of 12 columns; " in text and "the only one" not in text
    assert "Label of mean_pool" in text and "cannot be told from it" in text


def test_effects_are_counted_as_the_table_shows_them(won: dict[int, Table]) -> None:
    changes = [e.change for line in won[3].lines for e in line.entries if e.change]
    told = [c for c in changes if c.outcome != "same"]
    assert len(told) == 2, "rates_2 on both datasets"
    largest = max(abs(c.comparison.difference) for c in told)
    assert f"2 of {len(changes)} effects can be told from zero" in won[3].finding
    assert (
        f"−{largest:.1f} points" in won[3].finding
        and "2 of the 2 that the paper prints have its sign" in won[3].finding
    )
    assert won[4].finding.startswith("None of 6 effects can be told from zero")


def test_without_results_it_says_so(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    for number in paper.TITLES:
        table = tables.build_table(config, number)
        assert table.finding == NOTHING and not any(f.plots or f.forests for f in table.figures)


def test_a_row_of_the_users_own_has_a_change_and_a_verdict(tmp_path: Path) -> None:
    """A variant that the paper does not print is tested like the others: only its sign in the paper is missing."""
    config = fake_config(tmp_path)
    variants = {**config.profile.ablations.variants, "agg_own": {"aggregation": "avg", "interaction": "none"}}
    ablations = dataclasses.replace(config.profile.ablations, variants=variants)
    config = dataclasses.replace(config, profile=dataclasses.replace(config.profile, ablations=ablations))
    write_all(config, {"agg_own": 0.2})
    line = next(line for line in tables.build_table(config, 5).lines if line.run == "agg_own")
    assert [(e.change.verdict, e.change.outcome, e.change.paper) for e in line.entries] == [
        ("worse", "worse", None)
    ] * 2


def test_charts_follow_the_table(won: dict[int, Table]) -> None:
    shots = won[2].figures[0]
    assert [plot.title for plot in shots.plots] == ["mini-HMDB", "mini-UCF", "mini-SSv2"]
    measured = [line for line in won[2].blocks[0].lines if line.status == "measured"]
    assert all(len(plot.series) == len(measured) and len(plot.x_ticks) == 4 for plot in shots.plots)
    assert all(s.css == "s0" for plot in shots.plots for s in plot.series if s.name == "VidPrism-C")
    cost = won[1].figures[0]
    assert [plot.title for plot in cost.plots] == ["Measured on mini-K400", "Published on Kinetics-400"]
    effects = won[3].figures[0].forests
    assert len(effects) == 2 and all(len(f.bars) == 13 for f in effects)
    assert sum(bar.css == "bad" for f in effects for bar in f.bars) == 2
