"""Numbers of the profile `full` in the tables of mini: shown where mini has no row, marked, and never compared."""

import dataclasses
from pathlib import Path

import pytest

from tests.fake_results import fake_config, fake_record, write_all
from vidprism import report
from vidprism.config import Config
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.report import tables
from vidprism.report.tables.layout import ELSEWHERE, Line


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    root = tmp_path_factory.mktemp("elsewhere")
    mini, full = fake_config(root), fake_config(root, "full")
    write_all(mini)
    measured = rows(full, "few_shot")
    results.write_results(
        full, "few_shot", [fake_record(full, measured[key], 0.9) for key in ("st_adapter", "aim", "x_clip")]
    )
    return mini


def line_of(config: Config, label: str) -> Line:
    (found,) = [line for line in tables.build_table(config, 2).blocks[0].lines if line.labels == (label,)]
    return found


def test_a_printed_row_without_a_run_shows_the_other_profile(config: Config) -> None:
    line = line_of(config, "X-CLIP")
    assert line.status == ELSEWHERE and line.elsewhere == ("full", "x_clip") and not line.run
    by_shots = {
        column.cell: entry
        for column, entry in zip(tables.build_table(config, 2).blocks[0].columns, line.entries, strict=True)
    }
    assert by_shots["hmdb51_k2"].mean == pytest.approx(90, abs=8) and by_shots["hmdb51_k4"].mean is None
    assert "without this cell" in by_shots["hmdb51_k4"].reason


def test_it_is_the_best_and_yet_never_bold(config: Config) -> None:
    assert not any(entry.best or entry.letters for entry in line_of(config, "X-CLIP").entries)
    assert "not comparable" in tables.build_table(config, 2).blocks[0].note


def test_without_such_a_profile_the_row_is_not_run(config: Config) -> None:
    alone = dataclasses.replace(config, profile=dataclasses.replace(config.profile, also_show=""))
    assert line_of(alone, "X-CLIP").status == "not run"
    assert "not comparable" not in tables.build_table(alone, 2).blocks[0].note


def test_the_page_links_the_row_there(config: Config) -> None:
    page = Path(report.write_table(config, "table2")).read_text(encoding="utf-8")
    assert 'href="../../tables/full/table2.html#' in page and "X-CLIP in the profile full" in page
    csv = (Path(report.write_table(config, "table2")).with_suffix(".csv")).read_text(encoding="utf-8")
    assert any("X-CLIP" in line and ",elsewhere," in line for line in csv.splitlines())
