"""One process at a time works in a folder: two trainings of one row would overwrite each other's states.

The lock is the system's on an open file (flock) and goes with its process, however that ends; the file stays, and what
is written in it says who held the lock last. It lies beside the folder, which is deleted at the end of the work.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vidprism.runtime import processes
from vidprism.runtime.errors import NotWritable, TrainingError


@contextmanager
def alone(folder: Path, where: str) -> Iterator[None]:
    """While this lasts, nobody else works in `folder`. Of processes that train together the first one holds the lock,
    for all.

    Raises:
        TrainingError: another process holds it; the message begins with `where` and names that process.
        NotWritable: the file of the lock cannot be made, or its file system has no locks.
    """
    path = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as held:
        holder, failed = processes.from_first(lambda: _take(path, held))
        if holder:
            raise TrainingError(
                f"{where}: {holder} is at it already (a stage goes on when only its `dvc repro` was killed); wait "
                "until that process ends, or end it, and run `dvc repro` again: what it has done is kept"
            )
        if failed:
            raise NotWritable(path, failed)
        yield


def _take(path: Path, held: ExitStack) -> tuple[str, str]:
    """Who holds the lock, and why it cannot be had; both empty if it is held now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = held.enter_context(path.open("a+", encoding="utf-8"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text(encoding="utf-8") or "another process", ""
    except OSError as error:
        return "", str(error)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return "", ""
