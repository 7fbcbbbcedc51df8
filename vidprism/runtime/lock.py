"""Only one process works in a folder at a time: two trainings of one row would overwrite each other's states.

The lock is that of filelock, a system lock on an open file, which ends with its process in every case. The file remains
and names the last holder. It lies beside the folder, because the folder is deleted when the work is done.
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
def exclusive(folder: Path, where: str) -> Iterator[None]:
    """Hold the lock of `folder` inside the block. Where several processes train together, the first holds it for all.

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
                "until that process ends, or stop it, and run `dvc repro` again: its work is kept"
            )
        if failed:
            raise NotWritable(path, failed)
        yield


def _take(path: Path, held: ExitStack) -> tuple[str, str]:
    """The holder of the lock, and the reason why it is unavailable; both are empty if this process holds it now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.enter_context(FileLock(path, timeout=0))
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout:
        return path.read_text(encoding="utf-8") or "another process", ""
    except OSError as error:
        return "", str(error)
    return "", ""
