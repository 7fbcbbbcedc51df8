"""Handle a request to stop (SIGTERM, from a queue that needs the machine) without losing work.

A training stage saves its state at the next update and exits with `STATUS`, so that a queue can tell "start me again"
from "this is wrong". A second SIGTERM ends the process at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, try again

_asked = threading.Event()
_also: list[Callable[[], None]] = []


class Interrupted(RuntimeError):
    """The process was told to stop and has saved its work; the message says where, and how to continue."""


def watch() -> None:
    """From now on SIGTERM sets `stop_requested`. Only the main thread may install the handler; elsewhere this does
    nothing.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _note)


def _note(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _asked.set()
    for tell in _also:
        tell()


@contextmanager
def forwarded(tell: Callable[[], None]) -> Iterator[None]:
    """Inside the block, a request to stop also calls `tell`."""
    _also.append(tell)
    try:
        yield
    finally:
        _also.remove(tell)


def stop_requested() -> bool:
    """Whether this process was told to stop."""
    return _asked.is_set()


def forget() -> None:
    """Withdraw the request (tests run several stages in one process)."""
    _asked.clear()
