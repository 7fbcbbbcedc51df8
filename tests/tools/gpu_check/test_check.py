"""The check itself, in its toy form on the CPU: what it finds, and its report of a part that fails."""

import json
import subprocess
import sys
import time
from concurrent.futures import Future, TimeoutError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pebble import ProcessExpired

from tests.synthetic_store import small_config, write_choice, write_store
from tools.gpu_check import __main__ as check
from tools.gpu_check import mini, models, parts, right
from tools.gpu_check.lines import Lines, read, wrong
from vidprism import methods
from vidprism.methods import mean_pool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
TOWER = models.TOY.right[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / check.LINES


def test_the_toy_form_runs_from_the_source_tree(tmp_path: Path, path: Path) -> None:
    command = [sys.executable, "-m", "tools.gpu_check", "--toy", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    found = read(path)
    assert done.returncode == 0, [*wrong(found), done.stderr[-3000:]]
    assert {line.part for line in found} == {part.name for part in parts.parts(models.TOY)}
    assert not wrong(found) and "checks hold" in done.stdout
    for method in methods.on_features():
        assert any(line.what.startswith(method) and line.holds for line in found), f"{method} was not checked"
    (report,) = tmp_path.glob("*.json")
    content = json.loads(report.read_text())
    assert content["toy"] and len(content["lines"]) == len(found) and torch.__version__.startswith(content["torch"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert check.main(["--out", str(tmp_path)]) == 2
    assert "no GPU" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_part_that_is_over_its_time_keeps_what_it_has(path: Path) -> None:
    (part,) = (part for part in parts.parts(models.TOY) if part.name == f"right: {TOWER.name}")
    check.run_all([replace(part, limit_sec=check.LEAST_SEC)], True, path, time.monotonic() + 60)
    *kept, last = read(path)
    assert kept and last.kind == "skipped" and "its 5 s were over" in last.note


def test_a_part_without_time_is_not_begun(path: Path) -> None:
    check.run_all(parts.parts(models.TOY), True, path, time.monotonic())
    found = read(path)
    assert {line.part for line in found} == {part.name for part in parts.parts(models.TOY)}
    assert {(line.kind, line.note) for line in found} == {("skipped", "no time was left")}


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TimeoutError(), "skipped", "its 7 s were over"),
        (ProcessExpired("gone", code=-11), "failed", "-11"),
        (RuntimeError("CUDA error: device-side assert triggered"), "failed", "device-side assert"),
    ],
)
def test_a_part_that_does_not_end_well_is_a_line(path: Path, error: Exception, kind: str, said: str) -> None:
    job: Future = Future()
    job.set_exception(error)
    check._ended(job, parts.parts(models.TOY)[0], 7.0, path)
    (line,) = read(path)
    assert line.kind == kind and said in line.note


def test_a_wrong_head_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault affects only float32, like that of a kernel."""
    forward = mean_pool.MeanPool.forward

    def slightly_wrong(self: mean_pool.MeanPool, x_BTD: torch.Tensor) -> methods.Output:
        output = forward(self, x_BTD)
        return replace(output, logits=output.logits * (1.001 if x_BTD.dtype == torch.float32 else 1.0))

    monkeypatch.setattr(mean_pool.MeanPool, "forward", slightly_wrong)
    right.heads(Lines("heads", path), models.TOY)
    right.clips(Lines("clips", path), models.TOY, TOWER)
    found = wrong(read(path))
    assert {line.part for line in found} == {"heads", "clips"}
    assert all(line.what.startswith("mean_pool") and line.kind == "right" for line in found)


def test_the_reference_is_not_rounded() -> None:
    model = models.build(TOWER, "vidprism_c", 5, on="cpu")
    exact = right._reference(model, models.noise(TOWER, 2, 5))
    assert exact.gradient.dtype == torch.float64
    assert not torch.equal(exact.gradient, exact.gradient.float().double())
    assert 1e-9 < right.error(right._pass(model, models.noise(TOWER, 2, 5)).logits, exact.logits) < right.FLOAT32


def test_a_row_one_by_one_and_in_one_stack(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(tmp_path)
    config = replace(config, profile=replace(config.profile, few_shot=replace(config.profile.few_shot, shots=(2, 4))))
    write_store(config)
    write_choice(config, "vidprism_c", 0.01)
    accuracies, mean = [], mini._mean
    monkeypatch.setattr(mini, "_mean", lambda values: accuracies.append(values) or mean(values))
    mini.row(Lines("mini", path), config, "ucf101")
    found = read(path)
    assert not wrong(found) and [line.kind for line in found] == ["measured"] * 3 + ["right"] * 4
    one_by_one, again, stacked = np.array(accuracies).reshape(3, 2, 2)
    assert np.array_equal(one_by_one, again) and one_by_one.max() > 0
    np.testing.assert_allclose(stacked, one_by_one, atol=100 / 20)  # one video of 23
    assert not list(tmp_path.glob("data/runs/**/*.npz")), "it wrote into the checkout"


def test_a_row_without_features_is_skipped(tmp_path: Path, path: Path) -> None:
    mini.row(Lines("mini", path), small_config(tmp_path), "ucf101")
    (line,) = read(path)
    assert line.kind == "skipped" and "no ucf101" in line.note
