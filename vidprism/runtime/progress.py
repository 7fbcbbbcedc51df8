"""What a stage is doing, how far it is and how long it will take: one bar on the terminal, or a line every minute.

    train few_shot/vidprism_c: cell 4 of 12, update 91 of 300, 27 %, about 2 min to go

Work is counted in levels: the cells of a row, and in each cell its updates. An item at work adds the share of its inner
levels, so that one number says how far the stage is, and it never goes back. A thread of the stage draws
(`vidprism.runtime.progress_line`); nothing is drawn outside a `stage`. Processes that a stage starts draw nothing: the
first of them reports its share in a file, and the stage follows it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO, TypeVar

from vidprism.runtime import progress_line
from vidprism.runtime.progress_line import Drawer, StageLine

Thing = TypeVar("Thing")

INNER = 0.9  # the share of what is left of an item that its next inner level fills


class Level:
    """A piece of work of `total` items, of which `done` are done; see `counting`."""

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self.first, self.start_sec = self._part(done), time.monotonic()
        self._at_work: list[_Item] = []
        self._lock = threading.Lock()

    def _part(self, items: float) -> float:
        return min(1.0, items / self.total) if self.total else 0.0

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        with self._lock:
            items = self.done + sum(item.share for item in self._at_work)
        return self._part(items)

    def step(self) -> None:
        """One more item is done."""
        with self._lock:
            self.done += 1

    @contextmanager
    def item(self) -> Iterator[None]:
        """The work on one item, in any thread: levels inside the block are parts of it. It is done unless it raises."""
        item = _Item(_here.get())
        _here.set(item)
        with self._lock:
            self._at_work.append(item)
        done = 0
        try:
            yield
            done = 1
        finally:
            item.leave()
            with self._lock:
                self._at_work.remove(item)
                self.done += done

    def __str__(self) -> str:
        with self._lock:
            own, items = f"{self.what} {min(self.done + 1, self.total)} of {self.total}", list(self._at_work)
        return ", ".join([own, *(str(item.level) for item in items[:1] if item.level)])


class _Item:
    """An item at work. Its inner levels come one after the other, and each fills `INNER` of what is left."""

    def __init__(self, outer: _Item | None) -> None:
        self.outer, self.base = outer, 0.0
        self.level: Level | None = None

    @property
    def share(self) -> float:
        level = self.level
        return self.base + (1 - self.base) * INNER * level.share if level else self.base

    def close(self) -> None:
        self.base, self.level = self.base + (1 - self.base) * INNER, None

    def leave(self) -> None:
        """Return to the outer item, unless this one was left before: a loop that was broken off ends late."""
        here = _here.get()
        while here is not None and here is not self:
            here = here.outer
        if here is self:
            _here.set(self.outer)


class _Followed(Level):
    """Work that another process counts; `read` returns its share, from 0 to 1."""

    def __init__(self, read: Callable[[], float], what: str, total: int) -> None:
        super().__init__(what, total)
        self.read = read

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.read())

    def __str__(self) -> str:
        return f"{self.what} {min(int(self.share * self.total + 1e-9) + 1, self.total)} of {self.total}"


_here: ContextVar[_Item | None] = ContextVar("here", default=None)
_line: StageLine | None = None  # of the stage that this process runs


@contextmanager
def _opened(level: Level) -> Iterator[None]:
    outer = _here.get()
    if outer is not None:
        outer.level = level
    elif _line is not None:
        _line.level = level
    try:
        yield
    finally:
        if outer is not None:
            outer.close()


@contextmanager
def counting(what: str, total: int, done: int = 0) -> Iterator[Level]:
    """A piece of work whose items are counted by `step`, or worked on inside `item`.

    Args:
        what: an item, in the singular: "video", "update".
        total: number of items, `done` included.
        done: items that were done earlier.
    """
    level = Level(what, total, done)
    with _opened(level):
        yield level


def track(items: Iterable[Thing], what: str, total: int | None = None, done: int = 0) -> Iterator[Thing]:
    """The items, counted as they are finished; see `counting`.

    Args:
        total: None if `items` has a length.

    Raises:
        TypeError: `total` is None and `items` has no length.
    """
    with counting(what, len(items) if total is None else total, done) as level:  # type: ignore[arg-type]
        for item in items:
            with level.item():
                yield item


@contextmanager
def followed(read: Callable[[], float], what: str, total: int) -> Iterator[None]:
    """A piece of work that is done elsewhere while the block runs; `read` returns its share, from 0 to 1."""
    level = _Followed(read, what, total)
    with _opened(level):
        try:
            yield
        finally:
            last = level.share
            level.read = lambda: last  # what `read` reads may be gone from now on


@contextmanager
def stage(title: str, out: TextIO | Path | None = None) -> Iterator[None]:
    """Show the progress of everything in this block under `title`.

    Args:
        title: the stage and its parameters.
        out: where it is shown; by default the process's own standard error, also while a notebook captures
            `sys.stderr`. A path gets the share for the process that follows this one (`progress_line.read_share`).
    """
    global _line
    _line = line = StageLine(title)
    drawer = progress_line.drawer(out or sys.__stderr__)
    ended = threading.Event()
    thread = threading.Thread(target=_draw, args=(line, drawer, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        drawer.close(line)
        _line = None


def _draw(line: StageLine, drawer: Drawer, ended: threading.Event) -> None:
    while not ended.wait(drawer.every_sec):
        drawer.draw(line)
