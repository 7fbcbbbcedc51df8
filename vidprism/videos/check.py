"""Decode every listed video once, in worker processes: a decoder that crashes or hangs costs one row and not the run.

Results go to a table beside the stage's outputs as they arrive (CSV, one line per video, in order of completion). An
interrupted run continues where it stopped, and a later one decodes only files whose size or modification time changed.
A crash, a time-out and an unexpected error are not kept, because the machine may be to blame: such videos are tried
again.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from pathlib import Path
from typing import NamedTuple

from pebble import ProcessExpired, ProcessPool

from vidprism.config import CheckConfig
from vidprism.runtime import progress
from vidprism.videos import clips

VERSION = "2"  # version of the check; rows of another version or another `check.decoding` are not reused
COLUMNS = ("version", "path", "size", "mtime_ns", "n_frames", "fps", "width", "height", "reader", "why", "reason")
IN_FLIGHT = 8  # videos in the queue of a worker: enough to keep it busy while memory stays flat


class Facts(NamedTuple):
    """The content of a file (frames, Hz, pixels), how it is read, and why. All are 0 or "" if `reason` says why it
    cannot be read.
    """

    n_frames: int
    fps: float
    width: int
    height: int
    reader: str
    why: str
    reason: str


def unreadable(reason: str) -> Facts:
    """The facts of a file that cannot be read."""
    return Facts(0, 0.0, 0, 0, "", "", reason)


Key = tuple[str, int, int]  # path below the folder, size in bytes, modification time in ns


def check_videos(folder: Path, names: Sequence[str], table: Path, settings: CheckConfig) -> list[Facts]:
    """Facts of the videos `names` below `folder`, in their order: known ones come from `table`, the others are decoded.

    Args:
        table: CSV of earlier results. It is created if missing, grows during the run, and ends with one row per file.
        settings: number of processes and seconds per video.
    """
    known = read_check_table(table, settings.decoding)
    keys = [_key(folder, name) for name in names]
    todo = [i for i, key in enumerate(keys) if key not in known]
    with _appending(table, settings.decoding) as add:
        found = dict(_decoded(folder, names, todo, settings, lambda i, facts: add(keys[i], facts)))
    results = [found[i] if i in found else known[key] for i, key in enumerate(keys)]
    if todo:
        _rewrite(table, settings.decoding, known | {keys[i]: facts for i, facts in found.items() if _is_kept(facts)})
    return results


def video_facts(path: Path, decoding: str = "quick") -> Facts:
    """Facts of one file, decoded in this process; `decoding` is `check.decoding`."""
    try:
        found = clips.inspect_video(path, full=decoding == "full")
    except clips.Unreadable as error:
        return unreadable(error.reason)
    return Facts(found.n_frames, found.fps, found.width_px, found.height_px, found.reader, found.why, "")


def read_check_table(table: Path, decoding: str = "quick") -> dict[Key, Facts]:
    """The rows of a table, without lines that are cut off, damaged, or of another version or check."""
    known: dict[Key, Facts] = {}
    if not table.is_file():
        return known
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        for line in file:
            try:  # each line separately: an open quote would swallow the following lines
                row = next(csv.reader([line.replace("\0", "")]), [])
                if len(row) == len(COLUMNS) and row[0] == _version(decoding):
                    found = Facts(int(row[4]), float(row[5]), int(row[6]), int(row[7]), *row[8:])
                    known[row[1], int(row[2]), int(row[3])] = found
            except (csv.Error, ValueError):
                continue
    return known


CRASHED, HUNG, FAILED = "decoder crashed", "decoding took longer than", "check failed"


def _version(decoding: str) -> str:
    return f"{VERSION} {decoding}"


def _is_kept(found: Facts) -> bool:
    return not found.reason.startswith((CRASHED, HUNG, FAILED))


def _key(folder: Path, name: str) -> Key:
    try:
        found = (folder / name).stat()
    except OSError:
        return name, -1, -1
    return name, found.st_size, found.st_mtime_ns


def _decoded(
    folder: Path,
    names: Sequence[str],
    todo: list[int],
    settings: CheckConfig,
    done: Callable[[int, Facts], None],
) -> Iterator[tuple[int, Facts]]:
    """(position, facts) of the videos at `todo`, in order, with at most `IN_FLIGHT` at once per worker."""
    if not todo:
        return
    n_workers = min(settings.processes or os.cpu_count() or 1, len(todo))
    context = multiprocessing.get_context("forkserver")  # a fork of a process that has opened a decoder would die
    context.set_forkserver_preload(["vidprism.videos.clips"])
    waiting: deque = deque()
    left = iter(todo)
    with (
        ProcessPool(n_workers, context=context) as pool,
        progress.counting("video", len(names), len(names) - len(todo)) as counted,
    ):
        while True:
            while len(waiting) < n_workers * IN_FLIGHT and (i := next(left, None)) is not None:
                waiting.append((i, _scheduled(pool, folder / names[i], settings)))
            if not waiting:
                break
            i, future = waiting.popleft()
            result = _result(future, settings, folder)
            done(i, result)
            counted.step()
            yield i, result


def _scheduled(pool: ProcessPool, path: Path, settings: CheckConfig) -> Future:
    return pool.schedule(video_facts, [path, settings.decoding], timeout=settings.seconds_per_video)


def _result(future: Future, settings: CheckConfig, folder: Path) -> Facts:
    try:
        return future.result()
    except TooLong:
        return unreadable(f"{HUNG} {settings.seconds_per_video:g} s")
    except ProcessExpired as error:
        return unreadable(f"{CRASHED} ({_exit(error.exitcode)})")
    except (
        Exception
    ) as error:  # any other error in a worker becomes the reason of that video and does not end the check
        return unreadable(f"{FAILED} ({_what(error, folder)})")


def _what(error: Exception, folder: Path) -> str:
    """Type and message in one line, without paths of this machine."""
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = " ".join(message.replace(f"{folder}/", "").split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _exit(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"


class _appending:
    """Adds rows to a table, each with a single unbuffered write, so that two runs may add to the same table."""

    def __init__(self, table: Path, decoding: str) -> None:
        self.version = _version(decoding)
        table.parent.mkdir(parents=True, exist_ok=True)
        self.file = table.open("a", newline="", encoding="utf-8", buffering=1)
        if self.file.tell():  # an interrupted run may have left half a line
            self.file.write("\n")

    def __enter__(self) -> Callable[[Key, Facts], None]:
        writer = csv.writer(self.file, lineterminator="\n")

        def add(key: Key, found: Facts) -> None:
            if _is_kept(found):
                writer.writerow([self.version, *key, *found])

        return add

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _rewrite(table: Path, decoding: str, rows: dict[Key, Facts]) -> None:
    """One row per path (the last known state of the file), written completely or not at all."""
    latest = {key[0]: (key, found) for key, found in rows.items()}
    partial = table.with_name(f".{table.name}.{os.getpid()}")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_version(decoding), *key, *found] for key, found in latest.values())
    partial.replace(table)
