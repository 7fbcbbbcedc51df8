"""The page of a run as data: its cells, what its training left out, and its log as curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.records import log as live
from vidprism.records.record import MEASURED, Cell, Record, cell_key
from vidprism.report.tables import identity

WIDTH, HEIGHT = 300.0, 120.0  # size of a chart's area, in its own units

Curves = dict[str, list[tuple[int, float]]]  # series -> points (updates done, value)


@dataclass(frozen=True)
class Chart:
    """One metric over the updates: the values at its lower and upper edge, the updates at its right edge, and for each
    series the number of its colour and the points of its line.
    """

    title: str
    low: str
    high: str
    updates: int
    lines: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class TrainedCell:
    """One cell: accuracy, updates, and what its repeats left out: training videos as (path, reason), and the videos of
    updates with a non-finite loss.
    """

    title: str
    top1: float
    half_width: float | None
    updates: int
    batch_size: int
    failed: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One row's page."""

    key: str
    label: str
    group: str
    cells: tuple[TrainedCell, ...]
    charts: tuple[Chart, ...]
    each_alone: bool  # a line is a repeat; otherwise it is the mean over the repeats of a cell
    series: tuple[str, ...]


def build_run_page(config: Config, group: str, records: Iterable[Record]) -> list[Run]:
    """The pages of the measured rows of a group."""
    return [_run(config, group, record) for record in records if record["status"] == MEASURED]


def _run(config: Config, group: str, record: Record) -> Run:
    log = live.read_log(paths.live(config, group, record["row"]))
    series = list(dict.fromkeys(name for curves in log.values() for name in curves))
    charts = tuple(_chart(title, log[metric], series) for metric, title in titles(log).items())
    cells = tuple(_trained(cell) for cell in record["cells"])
    return Run(
        record["row"],
        identity.title(identity.from_record(record)),
        group,
        cells,
        charts,
        record["track"] == "tuned",
        tuple(series),
    )


def titles(log: Iterable[str]) -> dict[str, str]:
    """Metric -> title of its chart, in page order: the objective, its terms, accuracy, experts, the rest."""
    terms = sorted(name for name in log if name.startswith("loss/") and name not in ("loss/total", "loss/cls"))
    experts = sorted((name for name in log if name.startswith("experts/")), key=lambda name: int(name.split("_")[-1]))
    known = {
        "loss/total": "Objective",
        "loss/cls": "Its term cls",
        **{name: f"Its term {name.removeprefix('loss/')}, unweighted" for name in terms},
        "accuracy": "Correct clips of the batch, %",
        **{name: f"Share of {name.removeprefix('experts/').replace('_', ' ')}" for name in experts},
        "lr": "Learning rate",
        "clips_per_sec": "Clips a second (of this machine)",
        "memory_mib": "Memory, MiB (of this machine)",
    }
    return {name: title for name, title in known.items() if name in log}


def _chart(title: str, curves: Curves, series: list[str]) -> Chart:
    values = [value for points in curves.values() for _, value in points]
    low, high, last = min(values), max(values), max(step for points in curves.values() for step, _ in points)
    lines = tuple((name, series.index(name), _line(points, low, high, last)) for name, points in curves.items())
    return Chart(title, f"{low:.4g}", f"{high:.4g}", last, lines)


def _line(points: list[tuple[int, float]], low: float, high: float, last: int) -> str:
    span = high - low or 1.0
    return " ".join(f"{step / last * WIDTH:.0f},{HEIGHT - (value - low) / span * HEIGHT:.0f}" for step, value in points)


def _trained(cell: Cell) -> TrainedCell:
    mean = results.cell_accuracy(cell)
    failed = {item["path"]: item["reason"] for repeat in cell["repeats"] for item in repeat.get("failed_videos", [])}
    skipped = [
        f"repeat {repeat['seed']}: {', '.join(videos)}"
        for repeat in cell["repeats"]
        for videos in repeat.get("skipped_updates", [])
    ]
    return TrainedCell(
        cell_key(cell["dataset"], cell["shots"]),
        mean.value,
        float(mean.half_width()) if mean.n_groups > 1 else None,
        cell["updates"],
        cell["batch_size"],
        tuple(failed.items()),
        tuple(skipped),
    )
