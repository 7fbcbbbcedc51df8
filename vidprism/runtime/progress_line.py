"""The line that says how far a stage is, and what it is drawn on: a terminal, a log, or a file for another process."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from shutil import get_terminal_size
from typing import Protocol, TextIO

from tqdm import tqdm

LINE_EVERY_SEC = 60.0  # where there is no terminal
DRAW_EVERY_SEC = 0.5
BAR = "{desc} |{bar:24}| {percentage:3.0f} %{postfix}"


class Shown(Protocol):
    """What a line needs of a level of work: the share that was done when it began, from 0 to 1, and when that was."""

    first: float
    start_sec: float

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""


class StageLine:
    """A stage in words: its title, its outermost level of work, and the time that this will take."""

    def __init__(self, title: str) -> None:
        self.title, self.start_sec = title, time.monotonic()
        self.level: Shown | None = None

    @property
    def took_sec(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self.start_sec

    @property
    def share(self) -> float:
        """How much of the present level is done, from 0 to 1."""
        return self.level.share if self.level else 0.0

    def left(self) -> str:
        """The time that the present level will take; work that was done earlier says nothing about it."""
        if self.level is None:
            return f"for {duration(self.took_sec)}"
        share = self.level.share
        if share <= self.level.first:
            return "no estimate yet"
        past_sec = time.monotonic() - self.level.start_sec
        return f"about {duration(past_sec * (1 - share) / (share - self.level.first))} to go"

    def what(self) -> str:
        """The title and what is being done."""
        return f"{self.title}: {self.level}" if self.level else self.title

    def __str__(self) -> str:
        if self.level is None:
            return f"{self.title}: running {self.left()}"
        return f"{self.what()}, {100 * self.share:.0f} %, {self.left()}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 5 min`: a duration as a person says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Drawer(Protocol):
    """Draws a line every `every_sec` seconds, and once more when the stage ends."""

    every_sec: float

    def draw(self, line: StageLine) -> None:
        """Show the line as it is now."""

    def close(self, line: StageLine) -> None:
        """The stage has ended."""


def drawer(out: TextIO | Path | None) -> Drawer:
    """The drawer for a stream, for a file that another process follows, or for a process without standard error."""
    if isinstance(out, Path):
        return _Report(out)
    return _Bar(out) if out is not None and out.isatty() else _Lines(out)


class _Bar:
    """A bar that is redrawn in place and cleared at the end."""

    def __init__(self, out: TextIO) -> None:
        self.every_sec = DRAW_EVERY_SEC
        tqdm.set_lock(threading.RLock())  # the default lock is shared by processes, and only one draws
        # tqdm draws nothing on a terminal that does not know its size
        self._bar = tqdm(total=1.0, bar_format=BAR, file=out, leave=False, ncols=1, nrows=2)

    def draw(self, line: StageLine) -> None:
        self._bar.ncols = get_terminal_size().columns
        self._bar.n = line.share
        self._bar.set_description_str(line.what(), refresh=False)
        self._bar.set_postfix_str(line.left())

    def close(self, line: StageLine) -> None:
        self._bar.close()


class _Lines:
    """Plain lines, and a last one if there was time for any."""

    def __init__(self, out: TextIO | None) -> None:
        self._out, self.every_sec = out, LINE_EVERY_SEC

    def draw(self, line: StageLine) -> None:
        self._print(str(line))

    def close(self, line: StageLine) -> None:
        if line.took_sec >= self.every_sec:
            self._print(f"{line.title}: ended after {duration(line.took_sec)}")

    def _print(self, text: str) -> None:
        if self._out is not None:
            print(text, file=self._out, flush=True)


class _Report:
    """The share in a file, which is written completely or not at all."""

    def __init__(self, path: Path) -> None:
        self._path, self.every_sec = path, DRAW_EVERY_SEC
        path.parent.mkdir(parents=True, exist_ok=True)

    def draw(self, line: StageLine) -> None:
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(repr(line.share), encoding="utf-8")
        os.replace(partial, self._path)

    def close(self, line: StageLine) -> None:
        self.draw(line)


def read_share(report: Path) -> float:
    """The share that another process last reported; 0 before it did."""
    return float(report.read_text(encoding="utf-8")) if report.is_file() else 0.0
