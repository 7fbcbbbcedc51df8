"""A row in several processes: the same numbers, failures that are told with their cause, nothing left behind."""

import contextlib
import io
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, ConfigError, paths
from vidprism.config.rows import Row
from vidprism.finetuning import loop
from vidprism.records import scores
from vidprism.runs import launch
from vidprism.runtime import interruption, progress, progress_line
from vidprism.runtime.errors import TrainingError
from vidprism.runtime.interruption import Interrupted

pytestmark = pytest.mark.slow

WORK = launch._work
FAULT = "VIDPRISM_TEST_FAULT"  # what goes wrong in the second process, for it alone


def work(config: Config, row: Row, n_local: int, *report: Path) -> dict:
    """A process of the launcher with the toy backbone, and the fault that the test asks for at the third update."""
    backbones.load_backbone = lambda spec, device="cpu": ToyBackbone()
    progress_line.DRAW_EVERY_SEC = 0.02
    fault, update = os.environ.get(FAULT, ""), loop._Loop._update

    def faulty(self: loop._Loop, *batch: torch.Tensor) -> None:
        if fault == "slow":
            time.sleep(0.1)
        if self.step == 2 and fault and os.environ["RANK"] == "1":
            if fault == "raise":
                raise ValueError("the second process found a snake")
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "hang":
                time.sleep(600)
            if fault == "stop":
                os.kill(os.getpid(), signal.SIGTERM)
        update(self, *batch)

    loop._Loop._update = faulty
    return WORK(config, row, n_local, *report)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    monkeypatch.setattr(launch, "_work", work)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    handler = signal.getsignal(signal.SIGTERM)
    yield make_config(tmp_path)
    signal.signal(signal.SIGTERM, handler)
    interruption.forget()


def no_process_left(before: set[int]) -> bool:
    """Whether all children that were started since have ended."""
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    return not psutil.wait_procs([child for child in left if "resource_tracker" not in " ".join(child.cmdline())], 5)[1]


@pytest.fixture
def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("method", ["vidprism_c", "vidprism_c_released"])
def test_two_processes_give_what_one_gives(config: Config, children: set[int], method: str, capfd: object) -> None:
    """Also where the objective looks at the batch as a whole."""
    (paths.search(config, method, "mini_clip")).write_text(paths.search(config, "vidprism_c", "mini_clip").read_text())
    found = {}
    for n in (1, 2):
        row = make_row(method, key=f"on-{n}", updates=12)
        found[n] = launch.train_row(changed(config, devices=n), row), row
    (one, row_1), (two, row_2) = found[1], found[2]
    assert two["environment"]["world_size_asked"] == two["environment"]["world_size_obtained"] == 2
    assert one["environment"]["world_size_obtained"] == 1
    (a,), (b,) = one["cells"], two["cells"]
    assert (a["n_scored"], a["n_listed"], a["unreadable"]) == (b["n_scored"], b["n_listed"], b["unreadable"])
    np.testing.assert_allclose(a["curve"]["loss"], b["curve"]["loss"], atol=1e-5)
    folders = [paths.run(config, row.group, row.key) for row in (row_1, row_2)]
    alone, together = (scores.load_scores(folder / "scores.npz", "ucf101_k2") for folder in folders)
    # not the weights: a bias that moves no softmax has rounding for a gradient, which AdamW makes as large as any
    np.testing.assert_allclose(together.logits, alone.logits, atol=1e-4)
    assert no_process_left(children)


def test_the_stage_shows_how_far_its_processes_are(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the terminal and not in the cell, which captures what the processes write."""
    monkeypatch.setattr(progress_line, "LINE_EVERY_SEC", 0.05)
    monkeypatch.setenv(FAULT, "slow")
    shown, captured = io.StringIO(), io.StringIO()
    with progress.stage("train few_shot", shown), contextlib.redirect_stderr(captured):
        launch.train_row(changed(config, devices=2), make_row("mean_pool", updates=30))
    shares = [int(line.split(" %")[0].split(", ")[-1]) for line in shown.getvalue().splitlines() if " %" in line]
    assert shares == sorted(shares) and any(0 < share < 100 for share in shares), shown.getvalue()
    assert "update" not in captured.getvalue()


def test_cells_of_the_frozen_track_are_dealt_out(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(launch, "_here", lambda config, row, n: asked.append(n) or {})
    row = make_row("mean_pool", track="frozen")
    launch.train_row(changed(config, devices=3), row)
    assert asked == [3] and launch.devices(config, row) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise", ["process 1 of 2", "the second process found a snake", "Traceback", "in faulty"]),
        ("kill", ["process 1 of 2", "Signal 9 (SIGKILL)"]),
        # the process that hangs before update 3, or the one that waits for it there, whichever notices first
        ("hang", ["of 2 (from 0) has made no progress for 30 s", "repeat 0, update ", "time.sleep(600)"]),
    ],
)
def test_a_failure_ends_all_with_its_cause(
    config: Config, children: set[int], monkeypatch: pytest.MonkeyPatch, capfd: object, fault: str, words: list[str]
) -> None:
    monkeypatch.setenv(FAULT, fault)
    timeout_sec = 30.0 if fault == "hang" else 600.0
    config, begin = changed(config, devices=2, timeout_sec=timeout_sec, save_every=1), time.monotonic()
    with pytest.raises(TrainingError) as error:
        launch.train_row(config, make_row("mean_pool"))
    seen = f"{error.value}{''.join(capfd.readouterr())}"
    assert all(word in seen for word in words), seen
    assert str(error.value).startswith("process ") and time.monotonic() - begin < 60 + 30
    assert no_process_left(children)
    assert list(paths.work(config, "few_shot", "mean_pool-tuned").glob("*.states/repeat-0.pt")), "what was done is kept"


def test_one_that_is_asked_to_stop_stops_all(
    config: Config, children: set[int], monkeypatch: pytest.MonkeyPatch, capfd: object
) -> None:
    row, two = make_row("mean_pool", updates=30), changed(config, devices=2, save_every=1000)
    monkeypatch.setenv(FAULT, "stop")
    with pytest.raises(Interrupted, match=r"told to stop after update 10; its state is kept in .*repeat-0.pt"):
        launch.train_row(two, row)
    assert no_process_left(children)
    monkeypatch.setenv(FAULT, "")
    record = launch.train_row(two, row)
    whole = launch.train_row(two, make_row("mean_pool", updates=30, key="whole"))
    assert record["cells"] == whole["cells"]


def test_more_devices_than_there_are_is_an_error(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    row = make_row("mean_pool")
    assert launch.devices(config, row) == 2 and launch.devices(changed(config, devices=1), row) == 1
    with pytest.raises(ConfigError, match=r"train.devices asks for 3, and this machine has 2; lower it or use `auto`"):
        launch.train_row(changed(config, devices=3), row)


def test_several_nodes_need_a_job(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ConfigError, match=r"train.nodes is 2, but this is not a SLURM job; submit tools/slurm.sh"):
        launch.train_row(changed(config, nodes=2), make_row("mean_pool"))


SRUN = """#!{python}
import subprocess, sys
options = [a for a in sys.argv[1:] if a.startswith("--") and "node" in a.split("=")[0]]
command = sys.argv[1 + next(i for i, a in enumerate(sys.argv[1:]) if not a.startswith("--")):]
command[command.index("vidprism.runs.launch")] = "tests.runs.test_launch"
nodes = int(options[0].split("=")[1])
steps = [subprocess.Popen(command) for _ in range(nodes)]
sys.exit(max(step.wait() for step in steps))
"""


def test_two_nodes_are_started_by_srun(config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An srun that starts each node's torchrun on this machine: rendezvous, training and result are real."""
    fake = tmp_path / "bin" / "srun"
    fake.parent.mkdir()
    fake.write_text(SRUN.format(python=sys.executable))
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    monkeypatch.setenv("SLURMD_NODENAME", "localhost")
    two, row = changed(config, nodes=2, devices=1), make_row("mean_pool")
    monkeypatch.setenv("VIDPRISM_TEST_CONFIG", str(tmp_path / "config.pickle"))
    import pickle

    (tmp_path / "config.pickle").write_bytes(pickle.dumps((two, row)))
    record = launch.train_row(two, row)
    assert record["environment"]["world_size_obtained"] == 2
    assert record == json.loads((paths.run(config, row.group, row.key) / "record.json").read_text())
    monkeypatch.setenv(FAULT, "raise")
    (tmp_path / "config.pickle").write_bytes(pickle.dumps((two, make_row("mean_pool", updates=4, key="other"))))
    with pytest.raises(TrainingError, match=r"(?s)the steps on 2 nodes ended with 1:.*found a snake"):
        launch.train_row(two, make_row("mean_pool", updates=4, key="other"))


if __name__ == "__main__":  # one process of `test_two_nodes_are_started_by_srun`: params.yaml knows no toy row
    import pickle

    config, row = pickle.loads(Path(os.environ["VIDPRISM_TEST_CONFIG"]).read_bytes())
    work(config, row, 1)
    torch.distributed.destroy_process_group()
