"""A training that is killed, told to stop or cannot write ends with the bits of an uninterrupted one."""

import errno
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, paths
from vidprism.config.rows import Row
from vidprism.finetuning import checkpoint, inputs, loop
from vidprism.records import log as live
from vidprism.runs import finished_cells
from vidprism.runs.train import train_here
from vidprism.runtime import interruption
from vidprism.runtime.errors import TrainingError
from vidprism.runtime.interruption import Interrupted

pytestmark = pytest.mark.slow

ROW = make_row("vidprism_c", updates=12)
FILES = ("weights/ucf101_k2.safetensors", "scores.npz", "record.json")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return changed(make_config(tmp_path), save_every=1, log_every=1, ema_decay=0.9, sampling="segment_random")


def files(config: Config, row: Row = ROW) -> dict[str, bytes]:
    return {name: (paths.run(config, row.group, row.key) / name).read_bytes() for name in FILES}


def log(config: Config, row: Row = ROW) -> dict:
    """The log, without the values that depend on the machine."""
    found = live.read_log(paths.live(config, row.group, row.key))
    return {name: curves for name, curves in found.items() if name not in ("clips_per_sec", "memory_mib")}


def states(config: Config, row: Row = ROW) -> list[Path]:
    return sorted(paths.work(config, row.group, row.key).glob("*.states/*.pt"))


def train(config: Config, row: Row, updates: "multiprocessing.sharedctypes.Synchronized") -> None:
    """What a process of its own does; it counts its updates."""
    torch.set_num_threads(1)
    backbones.load_backbone = lambda spec, device="cpu": ToyBackbone()
    update = loop._Loop._update

    def counted(self: loop._Loop, *batch: torch.Tensor) -> None:
        updates.value += 1
        update(self, *batch)

    loop._Loop._update = counted
    interruption.watch()
    try:
        train_here(config, row)
    except Interrupted:
        os._exit(interruption.STATUS)
    os._exit(0)


@dataclass
class Apart:
    """Trains in processes that can be killed; they start with everything imported."""

    config: Config

    def __post_init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(
            ["tests.finetuning.test_checkpoint", "vidprism.finetuning.track", "accelerate"]
        )

    def run(self, at_update: int | None = None, later_sec: float = 0.0, signum: int = signal.SIGKILL) -> int:
        """Exit status; so many seconds after the start of an update the process gets a signal."""
        updates = self.context.Value("i", 0)
        process = self.context.Process(target=train, args=(self.config, ROW, updates))
        process.start()
        while at_update is not None and process.is_alive() and updates.value < at_update:
            time.sleep(0.001)
        if at_update is not None:
            process.join(later_sec)
        if at_update is not None and process.is_alive():
            os.kill(process.pid, signum)
        process.join()
        return process.exitcode


TOTAL = ROW.updates * len(ROW.repeats)


def killed(config: Config, moments: int) -> tuple[int, int]:
    """Kill at random moments, each time from a clean start, rerun and compare; how many were killed, and how many of
    them had saved a state.
    """
    apart, rng = Apart(config), random.Random(0)
    assert apart.run() == 0
    whole = files(config)
    n_killed = n_resumed = 0
    for _ in range(moments):
        # an update and its state take some 20 ms; the last moments lie in the scoring
        status = apart.run(rng.randint(1, TOTAL), rng.uniform(0.0, 0.03))
        n_killed += status == -signal.SIGKILL
        n_resumed += bool(states(config))
        assert files(config) == whole, "what was there stays, until the new one is whole"
        assert apart.run() == 0
        assert files(config) == whole
        assert not paths.work(config, ROW.group, ROW.key).exists()
    return n_killed, n_resumed


def test_killed_at_a_random_moment_it_ends_in_the_same_bits(config: Config) -> None:
    n_killed, n_resumed = killed(config, 6)
    assert n_killed >= 4 and n_resumed >= 3


@pytest.mark.long
def test_killed_at_many_random_moments_it_ends_in_the_same_bits(config: Config, capsys: pytest.CaptureFixture) -> None:
    n_killed, n_resumed = killed(config, 40)
    with capsys.disabled():
        print(f"killed at {n_killed} of 40 random moments, {n_resumed} times with a state saved: same bits every time")
    assert n_killed >= 20 and n_resumed >= 20


def test_asked_to_stop_it_saves_and_says_so(config: Config) -> None:
    assert Apart(config).run() == 0  # apart as well: the record names the modules that were loaded
    whole = files(config)
    apart = Apart(changed(config, save_every=1000))  # nothing is saved on the way
    assert apart.run(5, signum=signal.SIGTERM) == interruption.STATUS
    assert states(config)
    assert apart.run() == 0 and files(config) == whole


class Stopped(Exception):
    """The power went out."""


def stop_after(monkeypatch: pytest.MonkeyPatch, n_saved: int) -> None:
    save, count = checkpoint.Keeper.save, iter(range(10**6))

    def saving(self: checkpoint.Keeper, state: checkpoint.State) -> None:
        save(self, state)
        if next(count) + 1 == n_saved:
            raise Stopped

    monkeypatch.setattr(checkpoint.Keeper, "save", saving)


@pytest.mark.parametrize("n_saved", [1, 11, 12, 18])
def test_every_part_of_the_state_is_taken_up(config: Config, monkeypatch: pytest.MonkeyPatch, n_saved: int) -> None:
    """First update, last but one, end of the first repeat, within the second; and no update is done twice."""
    train_here(config, ROW)
    whole, done, logged_whole = files(config), [], log(config)
    with monkeypatch.context() as broken:
        stop_after(broken, n_saved)
        with pytest.raises(Stopped):
            train_here(config, ROW)
    update = loop._Loop._update
    logged = log(config)
    monkeypatch.setattr(loop._Loop, "_update", lambda self, *batch: (done.append(1), update(self, *batch)))
    train_here(config, ROW)
    assert files(config) == whole and len(done) == 2 * ROW.updates - n_saved
    assert 0 < len(logged["loss/total"]) <= 2 and log(config) == logged_whole


def test_generators_go_on_where_they_were() -> None:
    before = checkpoint.generators()
    drawn = [(random.random(), torch.rand(1).item(), float(inputs.np.random.rand())) for _ in range(2)]
    checkpoint.set_generators(before)
    assert [(random.random(), torch.rand(1).item(), float(inputs.np.random.rand())) for _ in range(2)] == drawn


def test_a_full_disk_leaves_the_earlier_state(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    train_here(config, ROW)
    whole, save, count = files(config), torch.save, iter(range(10**6))

    def failing(state: checkpoint.State, file: object) -> None:
        if next(count) == 5:
            file.write(b"half of ")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, file)

    with monkeypatch.context() as full:
        full.setattr(torch, "save", failing)
        with pytest.raises(TrainingError, match=r"repeat-0.pt cannot be written: .*No space left.* are intact"):
            train_here(config, ROW)
    (state,) = states(config)
    assert checkpoint.Keeper(state, 1).load()["step"] == 5 and not list(state.parent.glob("*.partial"))
    assert files(config) == whole
    train_here(config, ROW)
    assert files(config) == whole


def test_a_folder_that_cannot_be_written_is_an_error(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpoint.Path, "mkdir", refused)
    with pytest.raises(TrainingError, match=r"Permission denied.*correct the permissions"):
        checkpoint.Keeper(Path("nowhere") / "state.pt", 1).save({})


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_state_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "repeat-0.pt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"repeat-0.pt is not a valid training state"):
        checkpoint.Keeper(path, 1).load()


def test_a_state_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"step": Hostile()}, tmp_path / "repeat-0.pt")
    with pytest.raises(TrainingError, match="is not a valid training state"):
        checkpoint.Keeper(tmp_path / "repeat-0.pt", 1).load()
    assert not (tmp_path / "ran").exists()


def test_states_of_another_run_are_not_taken(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        stop_after(broken, 7)
        with pytest.raises(Stopped):
            train_here(config, ROW)
    other = changed(config, weight_decay=0.3)
    fresh = changed(other, save_every=0)
    train_here(fresh, ROW)
    whole = files(config)
    train_here(other, ROW)
    assert files(config) == whole


def test_the_interval_of_saving_is_no_other_cell(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    found, place = [], finished_cells.place
    monkeypatch.setattr(finished_cells, "place", lambda *args: found.append(place(*args)) or found[-1])
    for settings in ({"save_every": 7}, {"timeout_sec": 9.0}, {"devices": 1}):
        train_here(changed(config, **settings), make_row("mean_pool", updates=2))
    assert len(set(found)) == 1
