"""Two runs of the pipeline at once, a killed run, and locks that DVC left behind."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools import running

ROOT = Path(__file__).resolve().parents[2]
# a stage like those of the pipeline, which writes its output at its end
STAGE = """
import pathlib, time
pathlib.Path("began").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.02)
pathlib.Path("output").write_text("whole")
"""
GONE = 2**22 + 1  # no process has a number beyond the kernel's largest


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A DVC repository with one stage; nothing that was started in it is left running."""
    (tmp_path / "vidprism").mkdir()
    (tmp_path / "vidprism" / "__init__.py").touch()
    (tmp_path / "vidprism" / "execute.py").write_text(STAGE)
    command = f"{sys.executable} -m vidprism.execute train row=a"
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"a": {"cmd": command, "outs": ["output"]}}}))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", tmp_path / ".dvc" / "config")
    yield tmp_path
    (tmp_path / "go").touch()
    until(lambda: not stages(tmp_path))


def stages(clone: Path) -> list[int]:
    found = running.psutil.process_iter(["cmdline", "cwd"])
    return [p.pid for p in found if running.STAGE in (p.info["cmdline"] or []) and p.info["cwd"] == str(clone)]


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def repro(clone: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"], cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def mark(clone: Path, pid: int) -> Path:
    """The mark that a killed `dvc repro` with this number leaves."""
    path = clone / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = {"pid": pid, "cmd": "dvc repro"}
    path.write_text(json.dumps({"write": {str(clone / "output"): info}, "read": {str(clone / "output"): [info]}}))
    return path


@pytest.mark.slow
def test_a_second_repro_and_one_that_was_killed(clone: Path) -> None:
    """DVC refuses a second run. Killed, it leaves its stage running: the next run would start the same stage beside it,
    which `running.check` says and DVC does not.
    """
    running.check(clone)
    first = repro(clone)
    until((clone / "began").exists)
    with pytest.raises(running.Busy, match=rf"repro` runs in this clone as process {first.pid}; wait"):
        running.check(clone)
    second = repro(clone)
    assert "is being blocked by" in second.communicate()[0] and second.returncode != 0
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (stage,) = stages(clone)
    with pytest.raises(running.Busy, match=rf"stage `train row=a` runs .* as process {stage} .*kill {stage}"):
        running.check(clone)
    (clone / "go").touch()
    until(lambda: not stages(clone))
    running.check(clone)
    third = repro(clone)
    out, _ = third.communicate()
    assert third.returncode == 0 and "had been killed. Auto removed it" in out
    assert (clone / "output").read_text() == "whole" and (clone / "dvc.lock").is_file()


def test_a_mark_of_a_process_that_is_gone_needs_nothing(clone: Path) -> None:
    mark(clone, GONE)
    running.check(clone)


def test_a_mark_whose_number_another_process_has(clone: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        path = mark(clone, sleeping.pid)
        with pytest.raises(running.Busy, match=rf"{sleeping.pid} as a `dvc repro`, .* to `sleep 60`.*Delete"):
            running.check(clone)
        sleeping.kill()
    path.unlink()
    running.check(clone)


@pytest.mark.parametrize("content", ["", '{"write": {'])
def test_a_file_of_marks_that_was_cut_off(clone: Path, content: str) -> None:
    mark(clone, GONE).write_text(content)
    with pytest.raises(running.Busy, match=r"rwlock is not valid JSON.*delete it"):
        running.check(clone)


def test_the_lock_of_the_repository(clone: Path) -> None:
    path = mark(clone, GONE).with_name("lock")
    path.write_text(" 12345\n")
    running.check(clone)  # what a killed process leaves is no lock
    with path.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(running.Busy, match=r"another DVC command holds .*lock: process 12345; wait"):
            running.check(clone)
    running.check(clone)
