"""The rehearsal without its run: miniature data with broken files, the paper profile built and counted, its page."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_results import fake_config
from tools import rehearsal_page, rehearse
from vidprism import datasets
from vidprism.config import paths
from vidprism.config.rows import GROUPS, rows
from vidprism.evaluation import results
from vidprism.records.record import REHEARSED
from vidprism.videos import manifest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def planned() -> list[rehearsal_page.Planned]:
    return rehearsal_page.plan(fake_config(ROOT, "paper"), fake_config(ROOT, "rehearsal"))


def test_every_row_of_the_paper_profile_is_built_and_counted(planned: list[rehearsal_page.Planned]) -> None:
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
        assert len(df) == len(datasets.load_dataset(name).list_videos(paths.dataset_root(config, name), 1))
        test = df[df["split"] == "test"]
        assert sorted(test[test["readable"]]["label"]) == [0, 1, 2], "one video of each class is scored"
        for bad, missing in ((test, len(test) - 4), (df[df["split"] != "test"], 1)):
            reasons = bad[~bad["readable"]]["reason"]
            assert (reasons == "missing file").sum() == missing and len(reasons) == missing + 1


def test_its_page_says_what_ran_and_holds_no_accuracy(tmp_path: Path, planned: list[rehearsal_page.Planned]) -> None:
    config = fake_config(tmp_path, "rehearsal")
    for group in GROUPS:
        records = [
            {"row": key, "method": row.method, "status": REHEARSED, "reason": "random weights, 2 updates", "cells": []}
            for key, row in rows(config, group).items()
        ]
        results.write_results(config, group, records)
    timing = paths.timings(config) / "train-few_shot-vidprism_c.json"
    timing.parent.mkdir(parents=True)
    timing.write_text(json.dumps({"seconds": 12.34, "peak_mib": 4321}))
    speed = {"train_videos_per_sec": 0.125, "eval_videos_per_sec": 3.5, "peak_device_mib": 71234}
    paths.speed(config, "few_shot", "vidprism_c").write_text(json.dumps(speed))
    page = rehearsal_page.write(config, fake_config(ROOT, "paper")).read_text()
    assert "Random weights, no accuracy meaning." in page and "4321" in page and "2592.77" in page
    assert "<td>0.125</td><td>3.500</td><td>71234</td>" in page and "<td></td><td></td><td>no GPU</td>" in page
    assert "top1" not in page and "Generated data" not in page
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert all("rehearsal" in path for path in written)
    first = results.read_json(paths.results(config, "few_shot"))["records"][0]
    results.write_results(config, "few_shot", [{**first, "status": "not run", "reason": "it crashed"}])
    with pytest.raises(RuntimeError, match="did not succeed for vidprism_c"):
        rehearsal_page.write(config, fake_config(ROOT, "paper"))


def test_a_formula_that_disagrees_fails_the_rehearsal(planned: list[rehearsal_page.Planned]) -> None:
    assert not dataclasses.replace(planned[0], counted=planned[0].built + 1).agrees
    assert dataclasses.replace(planned[0], counted=None).agrees


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout with results of another profile, in which the rehearsal's pipeline can be acted."""
    for name in ("params.yaml", "dvc.lock", "reports/results/mini/few_shot.json", "data/runs/mini/row/record.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / ".gitignore").write_text("/data/*\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(rehearse, "find_root", lambda: tmp_path)
    monkeypatch.setattr(rehearse, "write_data", lambda root: root.mkdir(parents=True))
    monkeypatch.setattr(rehearse.rehearsal_page, "write", lambda *_: "written")
    return tmp_path


def act(monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[Path], int]) -> None:
    """`pipeline(folder)` in place of DVC; git runs as ever."""
    real = subprocess.run

    def run(command: list[str], cwd: Path, **options: object) -> subprocess.CompletedProcess:
        if "dvc" in command:
            return subprocess.CompletedProcess(command, pipeline(cwd))
        return real(command, cwd=cwd, **options)

    monkeypatch.setattr(rehearse.subprocess, "run", run)


def test_the_rehearsal_runs_in_a_copy_and_brings_its_reports_back(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipeline(folder: Path) -> int:
        assert "\nprofile: *rehearsal\n" in (folder / "params.yaml").read_text()
        assert subprocess.run(["git", "status", "-s"], cwd=folder, capture_output=True, check=True).stdout == b""
        for name in ("reports/results/rehearsal/few_shot.json", "reports/results/mini/few_shot.json", "dvc.lock"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("rehearsed")
        return 0

    before = rehearse.snapshot(checkout)
    assert set(before) == {"params.yaml", "dvc.lock", *(n for n in before if "/mini/" in n)} and len(before) == 4
    act(monkeypatch, pipeline)
    assert rehearse.main() == 0 and rehearse.main() == 0, "and once more over what the first left"
    assert rehearse.snapshot(checkout) == before
    assert (checkout / "reports/results/rehearsal/few_shot.json").read_text() == "rehearsed"


def test_a_rehearsal_that_is_killed_leaves_nothing_to_restore(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path) -> int:
        raise KeyboardInterrupt

    before = {path: path.read_bytes() for path in checkout.glob("*") if path.is_file()}
    act(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        rehearse.main()
    assert {path: path.read_bytes() for path in checkout.glob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", ["changed", "written", "deleted"])
def test_a_file_of_another_profile_that_changes_fails_the_rehearsal(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    name = "data/manifests/mini/list.csv" if how == "written" else "reports/results/mini/few_shot.json"

    def pipeline(folder: Path) -> int:
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink() if how == "deleted" else path.write_text("of a stage that mistook its profile")
        return 0

    act(monkeypatch, pipeline)
    with pytest.raises(RuntimeError, match=f"not its own changed: {name};"):
        rehearse.main()


def test_a_pipeline_that_stops_is_the_exit_status(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act(monkeypatch, lambda folder: 7)
    assert rehearse.main() == 7


def test_the_paper_recipe_is_rehearsed_as_it_is() -> None:
    paper, small = (fake_config(ROOT, name).profile.train for name in ("paper", "rehearsal"))
    for key in ("grad_checkpointing", "sampling", "keep_weights", "tuning", "precision", "backbone_lr_scale"):
        assert getattr(paper, key) == getattr(small, key), key
    assert paper.grad_checkpointing and paper.sampling == "segment_random" and paper.keep_weights == "head"
    assert paper.workers == 8
    assert small.workers == 0  # two updates are shorter than the start of the loader's processes
