"""Only one process works in a folder at a time: two trainings of one row would overwrite each other's states.

The lock is filelock's, the system's lock on an open file. It ends with its process, however that ends. The file stays
and says who held the lock last. It lies beside the folder, which is deleted at the end of the work.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vidprism.runtime import processes
from vidprism.runtime.errors import NotWritable, TrainingError


@contextmanager
def alone(folder: Path, where: str) -> Iterator[None]:
    """While this lasts, no other process works in `folder`. Of processes that train together the first one holds the
    lock for all.

    Raises:
        TrainingError: another process holds it; the message begins with `where` and names that process.
        NotWritable: the file of the lock cannot be made, or its file system has no locks.
    """
    path = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as held:
        holder, failed = processes.from_first(lambda: _take(path, held))
        if holder:
            raise TrainingError(
                f"{where}: already running in {holder} (a stage continues when only its `dvc repro` was killed); wait "
                "until that process ends, or end it, and run `dvc repro` again: what it has done is kept"
            )
        if failed:
            raise NotWritable(path, failed)
        yield


def _take(path: Path, held: ExitStack) -> tuple[str, str]:
    """Who holds the lock, and why it cannot be had; both empty if it is held now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.enter_context(FileLock(path, timeout=0))
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout:
        return path.read_text(encoding="utf-8") or "another process", ""
    except OSError as error:
        return "", str(error)
    return "", ""
