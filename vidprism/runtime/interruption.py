"""Being asked to stop (SIGTERM: a queue that needs the machine back) without losing work.

A stage that trains saves its state at the next update and ends with `STATUS`, so that a queue can tell "start me again"
from "this is wrong". A second SIGTERM ends the process at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 75  # EX_TEMPFAIL of sysexits.h: not a failure of the task, try again

_asked = threading.Event()
_also: list[Callable[[], None]] = []


class Interrupted(RuntimeError):
    """The process was asked to stop and has saved what it had; the message says where and how to go on."""


def watch() -> None:
    """From now on SIGTERM sets `asked`; outside the main thread, which alone may do this, nothing happens."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _note)


def _note(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _asked.set()
    for tell in _also:
        tell()


@contextmanager
def forwarded(tell: Callable[[], None]) -> Iterator[None]:
    """While this lasts, a request to stop also calls `tell`."""
    _also.append(tell)
    try:
        yield
    finally:
        _also.remove(tell)


def asked() -> bool:
    """Whether this process was asked to stop."""
    return _asked.is_set()


def forget() -> None:
    """Take the request back (tests run several stages in one process)."""
    _asked.clear()
