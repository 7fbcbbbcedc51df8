"""A watchdog for a process that trains with others: a process that hangs would silently block all of them.

Each unit of work (an update, a group of scored videos, a video read) calls `alive`. If no call comes for too long, the
process reports where it is, as the launcher's error and on its standard error, and exits.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback

from vidprism.runtime.errors import TrainingError

STATUS = 70  # exit status of a process that hung (EX_SOFTWARE of sysexits.h)
LINES = 6  # stack frames in the message, the innermost ones


class _Watch:
    def __init__(self) -> None:
        self.started, self.since, self.where = False, 0.0, ""


_watch = _Watch()


def start(rank: int, world_size: int, timeout_sec: float) -> None:
    """Start the watchdog of this process, in a thread that ends with it."""
    if _watch.started:
        return
    _watch.started, _watch.since = True, time.monotonic()
    main = threading.main_thread().ident
    threading.Thread(target=_look, args=(rank, world_size, timeout_sec, main), daemon=True).start()


def alive(where: str) -> None:
    """Report that this process is at work at the place named by `where`."""
    _watch.since, _watch.where = time.monotonic(), where


def _look(rank: int, world_size: int, timeout_sec: float, main: int) -> None:
    while time.monotonic() - _watch.since < timeout_sec:
        time.sleep(min(1.0, timeout_sec / 10))
    stack = traceback.format_stack(sys._current_frames()[main])[-LINES:]
    error = TrainingError(
        f"process {rank} of {world_size} (from 0) has made no progress for {timeout_sec:g} s (train.timeout_sec) at: "
        f"{_watch.where}. It hangs, or waits for a process that does:\n{''.join(stack)}"
    )
    print(error, file=sys.stderr, flush=True)
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    get_error_handler().record_exception(error)  # the launcher reports it
    os._exit(STATUS)
