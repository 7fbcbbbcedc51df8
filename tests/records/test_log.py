"""The log of a run: files in DVCLive's layout that grow, and are whole at the end."""

import json
from pathlib import Path

import pytest

from vidprism.records import log as live

POINTS = [(10, {"loss/total": 2.5, "accuracy": 25.0}), (20, {"loss/total": 1.25, "accuracy": 50.0})]


def test_files_are_those_of_dvclive_with_the_series_beside(tmp_path: Path) -> None:
    live.append_points(tmp_path, "ucf101_k2", POINTS)
    text = (tmp_path / "plots/metrics/loss/total.tsv").read_text()
    assert text == "step\tseries\ttotal\n10\tucf101_k2\t2.5\n20\tucf101_k2\t1.25\n"
    latest = json.loads((tmp_path / "metrics.json").read_text())
    assert latest == {"ucf101_k2": {"step": 20, "loss": {"total": 1.25}, "accuracy": 50.0}}


def test_what_grew_is_what_is_written_at_the_end(tmp_path: Path) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    for series in ("a", "b"):
        for point in POINTS:
            live.append_points(grown, series, [point])
    live.write_log(whole, {"a": POINTS, "b": POINTS})
    names = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(grown) for p in grown.rglob("*") if p.is_file()) and len(names) == 3
    assert all((whole / name).read_text() == (grown / name).read_text() for name in names)
    assert live.read_log(whole)["accuracy"] == {"a": [(10, 25.0), (20, 50.0)], "b": [(10, 25.0), (20, 50.0)]}


def test_a_row_that_does_not_train_has_an_empty_log(tmp_path: Path) -> None:
    live.append_points(tmp_path / "row", "old", POINTS)
    live.write_log(tmp_path / "row", {})
    assert json.loads((tmp_path / "row" / "metrics.json").read_text()) == {} and live.read_log(tmp_path / "row") == {}
    assert (tmp_path / "row" / "plots").is_dir(), "DVC wants its output"


def test_points_are_due_at_the_interval_and_at_the_end() -> None:
    assert [step for step in range(1, 26) if live.Log("a", 10).due(step, 25)] == [10, 20, 25]
    assert not any(live.Log("a", 0).due(step, 25) for step in range(1, 26))


def test_a_log_counts_clips_and_hides_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 7.0])
    monkeypatch.setattr(live.time, "perf_counter", lambda: next(clock))
    log = live.Log("a", 10, tmp_path, hidden=("accuracy",))
    for step, values in POINTS:
        log.add(step, values, clips_per_update=4)
    assert log.points == [
        (10, {"loss/total": 2.5, "clips_per_sec": 20}),
        (20, {"loss/total": 1.25, "clips_per_sec": 8}),
    ]
    assert "accuracy" not in live.read_log(tmp_path)


def test_a_log_that_is_taken_up_goes_on(tmp_path: Path) -> None:
    log = live.Log("a", 10, tmp_path)
    log.take_up([[10, {"accuracy": 25.0}]])  # as a saved state holds it
    log.add(20, {"accuracy": 50.0}, 4)
    assert live.read_log(tmp_path)["accuracy"]["a"] == [(10, 25.0), (20, 50.0)]
    assert [step for step, _ in log.points] == [10, 20]
