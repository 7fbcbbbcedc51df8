"""Find other runs of the pipeline in this clone, and locks of DVC left by a crash, where DVC itself says too little.

`dvc repro` names the process that holds its outputs, and clears the marks of processes that no longer exist. It does
not see a stage that continues after its `dvc repro` was killed, and trains beside it. It takes any process that now has
the number of a dead one for the holder. And it does not say what to do about a truncated lock file.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import psutil

STAGE = "vidprism.execute"


class Busy(RuntimeError):
    """The pipeline cannot start; the message names the process or the file and says what to do."""


def check(root: Path) -> None:
    """Look for other runs of the pipeline in the clone at `root`.

    Raises:
        Busy: DVC or a stage of the pipeline is running there, or a lock of DVC must be removed.
    """
    folder = root / ".dvc" / "tmp"
    _check_marks(folder / "rwlock")
    _check_repository(folder / "lock")
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = process.info["cmdline"] or []
        if STAGE in command and process.info["cwd"] == str(root.resolve()):
            stage = " ".join(command[command.index(STAGE) + 1 :])
            raise Busy(
                f"the stage `{stage}` runs in this clone as process {process.pid} (a stage continues when only its "
                f"`dvc repro` was killed); wait until it ends, or end it with `kill {process.pid}`"
            )


def _check_marks(path: Path) -> None:
    """Check the file in which each `dvc repro` marks what it writes and reads."""
    if not path.exists():
        return
    try:
        marks = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise Busy(
            f"{path} is not valid JSON: a crash has cut it off. If no `dvc` runs here, delete it and start again"
        ) from None
    written = list(marks.get("write", {}).values())
    for mark in [*written, *(mark for marked in marks.get("read", {}).values() for mark in marked)]:
        command = _command(mark["pid"])
        if "dvc" in command:
            raise Busy(
                f"`{mark['cmd']}` runs in this clone as process {mark['pid']}; wait until it ends, or end it with "
                "Ctrl-C where it was started, which reaches its stage too"
            )
        if command:
            raise Busy(
                f"{path} names process {mark['pid']} as a `dvc repro`, but that number now belongs to `{command}`: it "
                "was left by a run that was killed. Delete the file and start again"
            )


def _check_repository(path: Path) -> None:
    """Check DVC's lock of the whole repository, which is held except while a stage runs."""
    if not path.exists():
        return
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = file.read().strip()
            raise Busy(f"another DVC command holds {path}: process {pid}; wait until it ends") from None


def _command(pid: int) -> str:
    """The command line of a process; empty if there is no such process."""
    try:
        return " ".join(psutil.Process(pid).cmdline()) or "an unnamed process"
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return "a process of another user"
