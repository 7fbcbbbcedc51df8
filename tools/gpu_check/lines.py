"""The findings of the check: one line of JSON per measurement, written immediately."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

RIGHT, GOAL, LOW_GOAL = "right", "goal", "low_goal"
MEASURED, SKIPPED, FAILED = "measured", "skipped", "failed"


@dataclass(frozen=True)
class Line:
    """One measurement of a part.

    Attributes:
        kind: `right` must not exceed its bound, or the check fails; `goal` should reach its bound, and `low_goal`
            should not exceed it; `measured` has no bound; `skipped` could not be measured here; `failed` ended with an
            error.
        what: what was measured, or done.
        value: the number, or None.
        unit: of the value ("" for a share, a count or a ratio).
        bound: only for `right`, `goal` and `low_goal`.
        holds: whether the value is on the right side of the bound; None without a bound.
        note: the reason of `skipped` and `failed`, or what else a reader must know.
        at_sec: seconds since the part began.
    """

    part: str
    kind: str
    what: str
    value: float | None = None
    unit: str = ""
    bound: float | None = None
    holds: bool | None = None
    note: str = ""
    at_sec: float = 0.0


class Lines:
    """The lines of one part, appended to a file that all parts share."""

    def __init__(self, part: str, path: Path) -> None:
        self.part, self.path, self._start = part, path, time.perf_counter()

    def measured(self, what: str, value: float, unit: str = "", note: str = "") -> None:
        """A number without a bound."""
        self._write(MEASURED, what, value, unit, note=note)

    def right(self, what: str, value: float, at_most: float, unit: str = "", note: str = "") -> None:
        """A number that must not exceed a bound; NaN exceeds every bound."""
        self._write(RIGHT, what, value, unit, at_most, bool(value <= at_most), note)

    def equal(self, what: str, holds: bool, note: str = "") -> None:
        """A condition that must hold, written as the number of differences found, 0 or 1."""
        self.right(what, float(not holds), 0.0, note=note)

    def goal(self, what: str, value: float, at_least: float, unit: str = "", note: str = "") -> None:
        """A speed that should reach a bound."""
        self._write(GOAL, what, value, unit, at_least, bool(value >= at_least), note)

    def low_goal(self, what: str, value: float, at_most: float, unit: str = "", note: str = "") -> None:
        """A number that should stay at or below a bound."""
        self._write(LOW_GOAL, what, value, unit, at_most, bool(value <= at_most), note)

    def skipped(self, what: str, why: str) -> None:
        """A measurement that is impossible on this machine."""
        self._write(SKIPPED, what, note=why)

    def failed(self, what: str, why: str) -> None:
        """A measurement that ended with an error."""
        self._write(FAILED, what, note=why)

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Turn an error inside the block into a line, and let the part continue."""
        try:
            yield
        except Exception as error:  # any error belongs in the report
            self.failed(what, f"{type(error).__name__}: {error}")

    def _write(
        self,
        kind: str,
        what: str,
        value: float | None = None,
        unit: str = "",
        bound: float | None = None,
        holds: bool | None = None,
        note: str = "",
    ) -> None:
        value = None if value is None else float(value)
        if value is not None and not math.isfinite(value):
            value, note = None, f"{note} the value is {value}".strip()
        at_sec = round(time.perf_counter() - self._start, 1)
        line = Line(self.part, kind, what, value, unit, bound, holds, note, at_sec)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")


def read(path: Path) -> list[Line]:
    """All lines of a file, without a last line that was cut off."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(Line(**json.loads(text)))
        except json.JSONDecodeError:
            break
    return found


def wrong(lines: list[Line]) -> list[Line]:
    """The lines for which the check fails: a bound of `right` that does not hold, and every error."""
    return [line for line in lines if line.kind == FAILED or (line.kind == RIGHT and not line.holds)]
