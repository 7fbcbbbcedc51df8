"""Finished cells on disk: a row that failed ends with the same files; which weights are kept."""

import gc
import json
import weakref
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.training.toy import DIM, ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, paths, rows
from vidprism.finetuning import track
from vidprism.runs import finished_cells, train
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import Job, Outcome

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return make_config(tmp_path)


def files(config: Config, row: rows.Row) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in paths.run(config, row.group, row.key).rglob("*.*")}


def failing_at(monkeypatch: pytest.MonkeyPatch, shots: str) -> list[str]:
    """Every cell but that of `shots` runs; the list of those that were asked for."""
    run, asked = track.run_tuned, []

    def running(job: Job, inputs: object) -> Outcome:
        asked.append(job.where)
        if f" {shots} shots" in job.where:
            raise TrainingError("the power went out")
        return run(job, inputs)

    monkeypatch.setattr(track, "run_tuned", running)
    return asked


def test_a_row_that_failed_goes_on_to_the_same_files(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_row("vidprism_c", shots=(1, 2), updates=4)
    train.train_here(config, row)
    whole, work = files(config, row), paths.work(config, row.group, row.key)
    assert not work.exists()
    with monkeypatch.context() as broken:
        failing_at(broken, "2")
        with pytest.raises(TrainingError, match="the power went out"):
            train.train_here(config, row)
    assert [cell.name.rsplit("-", 1)[0] for cell in work.iterdir()] == ["ucf101_k1"]
    assert files(config, row) == whole, "a failure leaves what was there"
    asked = failing_at(monkeypatch, "no")
    train.train_here(config, row)
    assert asked == [f"row {row.key}, ucf101, 2 shots"] and files(config, row) == whole and not work.exists()


@pytest.mark.parametrize("what", ["updates", "choice", "weight_decay", "code", "video list"])
def test_a_cell_is_not_taken_for_another(config: Config, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    row = make_row("mean_pool", shots=(1, 2), updates=2)
    with monkeypatch.context() as broken:
        failing_at(broken, "2")
        with pytest.raises(TrainingError):
            train.train_here(config, row)
    if what == "updates":
        row = make_row("mean_pool", shots=(1, 2), updates=3)
    elif what == "choice":
        path = paths.search(config, "mean_pool", "mini_clip")
        path.write_text(path.read_text().replace("0.01", "0.02"))
    elif what == "weight_decay":
        config = changed(config, weight_decay=0.2)
    elif what == "code":
        monkeypatch.setattr(finished_cells.provenance, "package_version", lambda: "another")
    else:
        path = paths.manifest(config, "ucf101") / "manifest.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *lines[2:], lines[1]]) + "\n")
    asked = failing_at(monkeypatch, "no")
    train.train_here(config, row)
    assert len(asked) == 2


def test_threads_and_workers_do_not_make_another_cell(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_row("mean_pool", shots=(1, 2), updates=2)
    with monkeypatch.context() as broken:
        failing_at(broken, "2")
        with pytest.raises(TrainingError):
            train.train_here(config, row)
    asked = failing_at(monkeypatch, "no")
    train.train_here(changed(config, threads=2), row)
    assert len(asked) == 1


def test_no_weights_are_held_after_they_are_written(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    run, held, alive = track.run_tuned, [], []

    def running(job: Job, inputs: object) -> Outcome:
        gc.collect()
        alive.append(sum(reference() is not None for reference in held))
        outcome = run(job, inputs)
        held.extend(weakref.ref(weight) for weight in outcome.weights.values())
        return outcome

    monkeypatch.setattr(track, "run_tuned", running)
    train.train_here(config, make_row("mean_pool", shots=(1, 2), updates=2))
    assert held and alive == [0, 0]


@pytest.mark.parametrize("keep", ["all", "head", "none"])
def test_kept_are_the_weights_asked_for(config: Config, keep: str) -> None:
    row = make_row("mean_pool", repeats=(0,), updates=2)
    record = train.train_here(changed(config, keep_weights=keep), row)
    kept = load_file(paths.run(config, row.group, row.key) / "weights/ucf101_k2.safetensors")
    visual = {name for name in kept if name.startswith("visual.")}
    head = {name for name in kept if name.startswith("head.")}
    assert (bool(visual), bool(head)) == (keep == "all", keep != "none") and visual | head == set(kept)
    assert record["cells"][0]["parameters"] == DIM * 12 + 2 * DIM + 3 * DIM + 3, "of all that was trained"
    assert record["config"]["train"]["keep_weights"] == keep


def test_what_lies_on_disk_is_plain(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_row("mean_pool", shots=(1, 2), updates=2)
    failing_at(monkeypatch, "2")
    with pytest.raises(TrainingError):
        train.train_here(config, row)
    (cell,) = paths.work(config, row.group, row.key).iterdir()
    facts = json.loads((cell / finished_cells.FACTS).read_text())
    assert facts["cell"]["shots"] == 1 and facts["speed"]["train_videos"] == 2 * 3 * 2
    assert set(load_file(cell / finished_cells.WEIGHTS_OF_CELL)) == {
        "visual.weight",
        "head.norm.weight",
        "head.norm.bias",
        "head.classifier.weight",
        "head.classifier.bias",
    }
