"""What a stage is doing, how far it is and how long it will take: one bar on the terminal, or a line every minute.

Work is counted in levels: the cells of a row, and in each cell its updates. A level that is opened while another one
waits is a part of it, also from another thread, so that one number says how far the stage is. Nothing is drawn before
`start` was called, and only one process draws: the one that runs the stage, or its first trainer (rank 0).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

VARIABLE = "VIDPRISM_STAGE"  # the stage's name, for the processes that it starts
LINE_EVERY_SEC = 60.0  # where there is no terminal
DRAW_EVERY_SEC = 0.5
BAR = "{desc} |{bar:24}| {percentage:3.0f} % {postfix}"


class Level:
    """A piece of work: `done` of `total` parts, and the parts that run now, which are levels themselves."""

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self.parts: list[Level] = []

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        if not self.total:
            return 0.0
        return min(1.0, (self.done + sum(part.share for part in list(self.parts))) / self.total)

    def step(self) -> None:
        """One more part is done."""
        self.done += 1
        _display.show()

    def __str__(self) -> str:
        own = f"{self.what} {min(self.done + 1, self.total)} of {self.total}"
        return ", ".join([own, *(str(part) for part in list(self.parts)[:1])])


class _Display:
    """The levels that are open, and the terminal or file that shows them."""

    def __init__(self) -> None:
        self.title, self.out, self.first = "", sys.stderr, 0.0
        self.levels: list[Level] = []  # opened by the main thread, the outermost first
        self.local = threading.local()
        self.lock = threading.Lock()
        self.bar: tqdm | None = None
        self.shown = 0.0

    def start(self, title: str, out: TextIO) -> None:
        self.title, self.out, self.first = title, out, time.monotonic()
        self.shown = self.first
        if out.isatty():
            self.bar = tqdm(total=1.0, desc=title, bar_format=BAR, file=out, leave=False)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.title and time.monotonic() - self.first >= LINE_EVERY_SEC:
            self._line(f"{self.title}: ended after {duration(time.monotonic() - self.first)}")
        self.title, self.bar, self.levels = "", None, []

    def open(self, level: Level) -> list[Level]:
        """Add a level below the innermost one of this thread, or of the main thread; return the list it is in."""
        if threading.current_thread() is threading.main_thread():
            stack = self.levels
        else:
            stack = self.local.__dict__.setdefault("levels", [])
        above = stack or self.levels
        with self.lock:
            if above:
                above[-1].parts.append(level)
            stack.append(level)
        return stack

    def close(self, level: Level, stack: list[Level]) -> None:
        with self.lock:
            if level in stack:
                del stack[stack.index(level) :]
            for other in (*self.levels, *stack):
                if level in other.parts:
                    other.parts.remove(level)

    def show(self) -> None:
        now = time.monotonic()
        if not self.title or now - self.shown < (DRAW_EVERY_SEC if self.bar is not None else LINE_EVERY_SEC):
            return
        with self.lock:
            self.shown = now
            if not self.levels:
                return
            share, what = self.levels[0].share, str(self.levels[0])
            left = f"about {duration((now - self.first) * (1 - share) / share)} to go" if share else "no estimate yet"
            if self.bar is None:
                self._line(f"{self.title}: {what}, {100 * share:.0f} %, {left}")
            else:
                self.bar.n = share
                self.bar.set_description_str(f"{self.title}: {what}", refresh=False)
                self.bar.set_postfix_str(left)

    def _line(self, text: str) -> None:
        print(text, file=self.out, flush=True)


_display = _Display()


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 5 min`: a duration as a person says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def stage(title: str, out: TextIO | None = None) -> Iterator[None]:
    """Show the progress of everything in this block under `title`.

    Args:
        title: the stage and its parameters.
        out: where it is shown; by default the process's own standard error, also while a notebook captures
            `sys.stderr`.
    """
    os.environ[VARIABLE] = title
    _display.start(title, out or sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        _display.stop()
        os.environ.pop(VARIABLE, None)


@contextmanager
def counting(what: str, total: int, done: int = 0) -> Iterator[Level]:
    """A piece of work whose parts are counted by `step`.

    Args:
        what: a part, in the singular: "video", "update".
        total: number of parts.
        done: parts that are done already.
    """
    _join()
    level = Level(what, total, done)
    stack = _display.open(level)
    try:
        yield level
    finally:
        _display.close(level, stack)


def track(items: Iterable[Item], what: str, total: int | None = None, done: int = 0) -> Iterator[Item]:
    """The items, counted as they are finished.

    Args:
        items: what is worked on.
        what: an item, in the singular.
        total: number of items, `done` included; None if `items` has a length.
        done: items that are done already.

    Raises:
        TypeError: `total` is None and `items` has no length.
    """
    with counting(what, len(items) if total is None else total, done) as level:  # type: ignore[arg-type]
        for item in items:
            yield item
            level.step()


def _join() -> None:
    """In the first trainer of a stage with several processes: draw the progress of that stage."""
    title = os.environ.get(VARIABLE, "")
    if title and not _display.title and os.environ.get("RANK") == "0" and multiprocessing.parent_process():
        _display.start(title, sys.__stderr__ or sys.stderr)
