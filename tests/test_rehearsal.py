"""The rehearsal without its run: miniature data with broken files, the paper profile built and counted, its page."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.fake_results import fake_config
from tools import rehearse
from vidprism import datasets, manifest, paths, rehearsal, results
from vidprism.record import REHEARSED
from vidprism.rows import GROUPS, rows

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def planned() -> list[rehearsal.Planned]:
    return rehearsal.plan(fake_config(ROOT, "paper"), fake_config(ROOT, "rehearsal"))


def test_every_row_of_the_paper_profile_is_built_and_counted(planned: list[rehearsal.Planned]) -> None:
    config = fake_config(ROOT, "paper")
    assert [row.row for row in planned] == [key for group in GROUPS for key in rows(config, group)]
    assert all(row.agrees and row.counted and row.gmacs for row in planned)
    found = {row.row: row for row in planned}
    assert found["vidprism_c-clip_b16-8f"].status == REHEARSED
    assert found["vidprism_c-clip_l14-32f"].status == "not run"
    assert found["vidprism_c-clip_l14-32f"].gmacs == pytest.approx(2592.77, abs=0.01)
    assert found["default"].status == "not run", "32 frames; 8 were rehearsed"


def test_the_rehearsal_holds_one_cell_a_table_and_dataset() -> None:
    config = fake_config(ROOT, "rehearsal")
    chosen = [row for group in GROUPS for row in rows(config, group).values()]
    cells = [(row.group, row.method, cell[0]) for row in chosen for cell in row.cells]
    assert len(cells) == len(set(cells)) <= 8
    assert {method for _, method, _ in cells} == {"vidprism_c", "vidprism_m"}
    assert {dataset for _, _, dataset in cells} == {"hmdb51", "kinetics400", "ssv2", "ucf101"}
    assert all((row.updates, row.track, row.frames) == (2, "tuned", 8) for row in chosen)
    assert (config.profile.protocol.n_clips, config.profile.protocol.n_crops) == (2, 3)


def test_its_data_are_the_official_layouts_with_broken_files(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "rehearsal")
    rehearse.write_data(tmp_path / config.profile.root)
    for name in config.profile.datasets:
        df = manifest.prepare(config, name)
        assert len(df) == len(datasets.load(name).list_videos(paths.dataset_root(config, name), 1))
        bad = df[~df["readable"]]
        assert {"missing file"} < set(bad["reason"]) and len(bad) == 3 and (bad["split"] == "test").sum() == 1


def test_its_page_says_what_ran_and_holds_no_accuracy(tmp_path: Path, planned: list[rehearsal.Planned]) -> None:
    config = fake_config(tmp_path, "rehearsal")
    for group in GROUPS:
        records = [
            {"row": key, "method": row.method, "status": REHEARSED, "reason": "random weights, 2 updates", "cells": []}
            for key, row in rows(config, group).items()
        ]
        results.write(config, group, records)
    timing = paths.timings(config) / "train-few_shot-vidprism_c.json"
    timing.parent.mkdir(parents=True)
    timing.write_text(json.dumps({"seconds": 12.34, "peak_mib": 4321}))
    page = rehearsal.write(config, fake_config(ROOT, "paper")).read_text()
    assert "Random weights, no accuracy meaning." in page and "4321" in page and "2592.77" in page
    assert "top1" not in page and "Generated data" not in page
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert all("rehearsal" in path for path in written)
    first = results.read_json(paths.results(config, "few_shot"))["records"][0]
    results.write(config, "few_shot", [{**first, "status": "not run", "reason": "it crashed"}])
    with pytest.raises(RuntimeError, match="did not succeed for vidprism_c"):
        rehearsal.write(config, fake_config(ROOT, "paper"))


def test_a_formula_that_disagrees_fails_the_rehearsal(planned: list[rehearsal.Planned]) -> None:
    assert not dataclasses.replace(planned[0], counted=planned[0].built + 1).agrees
    assert dataclasses.replace(planned[0], counted=None).agrees
