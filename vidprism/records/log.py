"""The log of a row, as files that `dvc plots`, `dvc exp show` and editors read, written while the row trains.

The layout is that of DVCLive (https://dvc.org/doc/dvclive/how-it-works) with one more column, because a row has many
cells:

    data/live/<profile>/<group>/<row>/metrics.json                 series -> the latest values and their step
    data/live/<profile>/<group>/<row>/plots/metrics/<metric>.tsv   step, series, value

A series is a cell whose repeats train side by side (values are means over repeats), or one repeat of a cell. The files
grow while the row trains. At its end they are rewritten in the order of the cells. Nothing here imports torch.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from vidprism.runtime.files import whole_folder

Point = tuple[int, dict[str, float]]  # updates done, and metric -> value
LATEST, CURVES = "metrics.json", "plots/metrics"

_writing = Lock()  # the cells of a row train in several threads


@dataclass
class Log:
    """The points of one series, every `every` updates (0: none) and at the last one.

    Args:
        folder: the row's folder, whose files grow with every point; None writes nothing.
        hidden: metrics that are not to be logged.
    """

    series: str
    every: int = 0
    folder: Path | None = None
    hidden: Collection[str] = ()
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._since, self._step = time.perf_counter(), 0

    def due(self, step: int, last: int) -> bool:
        """Whether a point is logged after `step` of `last` updates."""
        return self.every > 0 and (step % self.every == 0 or step == last)

    def take_up(self, points: Iterable[Point]) -> None:
        """Continue the points of a resumed training: earlier points come first, and the clock starts now."""
        self.points = [(step, dict(values)) for step, values in points]
        self._since, self._step = time.perf_counter(), self.points[-1][0] if self.points else 0
        append_points(self.folder, self.series, self.points)

    def add(self, step: int, values: Mapping[str, float], clips_per_update: int) -> None:
        """Add a point after `step` updates, with the number of clips per second since the last point."""
        now = time.perf_counter()
        rate = (step - self._step) * clips_per_update / (now - self._since)
        self._since, self._step = now, step
        shown = {name: round(value, 6) for name, value in values.items() if name not in self.hidden}
        self.points.append((step, {**shown, "clips_per_sec": round(rate, 2)}))
        append_points(self.folder, self.series, self.points[-1:])


def append_points(folder: Path | None, series: str, points: Iterable[Point]) -> None:
    """Add points to a row's files; None writes nothing."""
    if folder is None:
        return
    with _writing:
        for step, values in points:
            for metric, value in values.items():
                path = _curve(folder, metric)
                heading = "" if path.is_file() else _heading(path)
                with path.open("a", encoding="utf-8") as file:
                    file.write(heading + _line(step, series, value))
            _note_latest(folder, series, step, values)


def _note_latest(folder: Path, series: str, step: int, values: Mapping[str, float]) -> None:
    path = folder / LATEST
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known[series] = {"step": step, **_nested(values)}
    partial = path.with_suffix(".partial")  # a reader sees either the old file or the new one
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _nested(values: Mapping[str, float]) -> dict[str, Any]:
    """`{"loss/cls": 1}` -> `{"loss": {"cls": 1}}`, as DVCLive does."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split("/")
        part = found
        for key in above:
            part = part.setdefault(key, {})
        part[last] = value
    return found


def write_log(folder: Path, logs: Mapping[str, Iterable[Point]]) -> None:
    """Write all files of a row from its points (series -> points), in place of any earlier files."""
    with whole_folder(folder) as fresh:
        (fresh / CURVES).mkdir(parents=True)
        latest: dict[str, dict[str, Any]] = {}
        lines: dict[str, list[str]] = {}
        for series, points in logs.items():
            for step, values in points:
                latest[series] = {"step": step, **_nested(values)}
                for metric, value in values.items():
                    lines.setdefault(metric, []).append(_line(step, series, value))
        for metric, of_metric in lines.items():
            path = _curve(fresh, metric)
            path.write_text(_heading(path) + "".join(of_metric), encoding="utf-8")
        (fresh / LATEST).write_text(json.dumps(latest, indent=1) + "\n", encoding="utf-8")


def _curve(folder: Path, metric: str) -> Path:
    path = folder / CURVES / f"{metric}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _heading(path: Path) -> str:
    return f"step\tseries\t{path.stem}\n"


def _line(step: int, series: str, value: float) -> str:
    return f"{step}\t{series}\t{value}\n"


def read_log(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Metric -> series -> points (step, value) of a row's files; empty without any."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for path in sorted((folder / CURVES).rglob("*.tsv")):
        metric = path.relative_to(folder / CURVES).with_suffix("").as_posix()
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                series = found.setdefault(metric, {}).setdefault(line["series"], [])
                series.append((int(line["step"]), float(line[path.stem])))
    return found
