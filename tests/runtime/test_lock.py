"""Two trainings of one row at once, and folders that cannot be written."""

import errno
import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, paths
from vidprism.finetuning import track
from vidprism.runs import finished_cells, train
from vidprism.runtime import files, lock
from vidprism.runtime.errors import NotWritable, TrainingError

pytestmark = pytest.mark.slow

ROW = make_row("mean_pool", updates=4)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return changed(make_config(tmp_path), save_every=2)


def hold(folder: Path, began: Path) -> None:
    """What another process does: it takes the lock and works on."""
    with lock.exclusive(folder, "row"):
        began.touch()
        time.sleep(600)


@pytest.fixture
def other(config: Config, tmp_path: Path) -> multiprocessing.Process:
    """A process that trains the row."""
    began, context = tmp_path / "began", multiprocessing.get_context("forkserver")
    process = context.Process(target=hold, args=(paths.work(config, ROW.group, ROW.key), began))
    process.start()
    while not began.exists():
        assert process.is_alive()
        time.sleep(0.01)
    yield process
    process.kill()
    process.join()


def test_a_row_is_trained_by_one_process(config: Config, other: multiprocessing.Process) -> None:
    with pytest.raises(
        TrainingError, match=rf"row mean_pool-tuned: already running in process {other.pid} on .*wait until.*or stop it"
    ):
        train.train_here(config, ROW)
    assert not paths.run(config, ROW.group, ROW.key).exists()
    train.train_here(config, make_row("mean_pool", key="another", updates=4))
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    train.train_here(config, ROW)
    assert (paths.run(config, ROW.group, ROW.key) / "record.json").is_file()


def test_a_row_that_failed_lets_go(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(track, "run_tuned", lambda *_: pytest.fail("the power went out"))
        with pytest.raises(pytest.fail.Exception):
            train.train_here(config, ROW)
    with lock.exclusive(paths.work(config, ROW.group, ROW.key), "row"):
        pass


def test_a_lock_that_cannot_be_made_is_an_error(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(NotWritable, match=r"mean_pool-tuned.lock cannot be written: .*No locks available"):
        train.train_here(config, ROW)


def refuse_below(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Root may write everywhere, so the folder's permissions are pretended."""
    mkdtemp = files.mkdtemp

    def refused(prefix: str, dir: Path) -> str:
        if dir == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(dir))
        return mkdtemp(prefix=prefix, dir=dir)

    monkeypatch.setattr(files, "mkdtemp", refused)


@pytest.mark.parametrize("part", ["run", "work"])
def test_a_read_only_folder_is_named_and_earlier_results_stay(
    config: Config, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    train.train_here(config, ROW)
    run, work = (place(config, ROW.group, ROW.key) for place in (paths.run, paths.work))
    before = {file.name: file.read_bytes() for file in run.rglob("*.*")}
    with monkeypatch.context() as read_only:
        refuse_below(read_only, run.parent if part == "run" else work)
        with pytest.raises(NotWritable, match=r"Permission denied.*correct the permissions") as error:
            train.train_here(config, ROW)
    assert str(error.value).startswith(str(run if part == "run" else work))
    assert {file.name: file.read_bytes() for file in run.rglob("*.*")} == before
    fit, trained = track.fit, []
    monkeypatch.setattr(track, "fit", lambda *args: trained.append(1) or fit(*args))
    train.train_here(config, ROW)
    assert {file.name: file.read_bytes() for file in run.rglob("*.*")} == before
    assert bool(trained) == (part == "work"), "a cell that was finished is not trained again"


def test_a_full_disk_is_named(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise files.SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(finished_cells, "save_file", full)
    with pytest.raises(NotWritable, match=r"ucf101_k2-\w+ cannot be written: .*No space left.*Make room"):
        train.train_here(config, ROW)
