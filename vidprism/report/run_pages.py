"""The page of a run as data: what was trained, its accuracies, what differs from the defaults, where its numbers come
from, what its training left out, and its log as curves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.records import log as live
from vidprism.records.record import MEASURED, Cell, Record
from vidprism.report import panels, run_curves
from vidprism.report.charts import Plot, Series
from vidprism.report.panels import Panel
from vidprism.report.tables import identity
from vidprism.report.tables.ablations import default, home
from vidprism.report.tables.layout import heading
from vidprism.report.tables.setting import training_videos


@dataclass(frozen=True)
class TrainedCell:
    """One cell: accuracy, updates, and what its repeats left out: training videos as (path, reason), and the videos of
    updates with a non-finite loss.
    """

    title: str
    anchor: str
    top1: float
    half_width: float | None
    updates: int
    batch_size: int
    failed: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One row's page. `differs` are (name, value, default); `tables` are pages that show the row, as (path below
    reports/, name, id of the row there); `before` and `after` are the keys of its neighbours, "" at the ends.
    """

    key: str
    label: str
    group: str
    what: tuple[tuple[str, str], ...]
    differs: tuple[tuple[str, str, str], ...]
    tables: tuple[tuple[str, str, str], ...]
    cells: tuple[TrainedCell, ...]
    panel: Panel
    charts: tuple[Plot, ...]
    keys: tuple[Series, ...]
    each_alone: bool  # a line is a repeat; otherwise it is the mean over the repeats of a cell
    before: str = ""
    after: str = ""


def build_run_page(config: Config, group: str, records: Iterable[Record]) -> list[Run]:
    """The pages of the measured rows of a group."""
    measured = [record for record in records if record["status"] == MEASURED]
    keys = ["", *(record["row"] for record in measured), ""]
    return [_run(config, group, record, keys[i], keys[i + 2]) for i, record in enumerate(measured)]


def _run(config: Config, group: str, record: Record, before: str, after: str) -> Run:
    log = live.read_log(paths.live(config, group, record["row"]))
    plots, keys = run_curves.draw_log(log, record["cells"], _headings(config)) if log else ((), ())
    return Run(
        record["row"],
        identity.title(identity.from_record(record)),
        group,
        _what(record),
        tuple(differences_from_defaults(config, record)),
        tuple(_tables(config, group, record)),
        tuple(_trained(config, record, cell) for cell in record["cells"]),
        panels.row_panel(config.profile, record),
        plots,
        keys,
        record["track"] == "tuned",
        before,
        after,
    )


def _headings(config: Config) -> dict[str, str]:
    return {dataset: heading(config.profile, dataset) for dataset in config.profile.datasets}


def _what(record: Record) -> tuple[tuple[str, str], ...]:
    backbone = record["backbone"]
    found = [("Method", record["method"]), ("Reading", record.get("reading") or ""), ("Track", record["track"])]
    found += [("Encoder", f"{backbone.get('name')} ({backbone.get('model')})")]
    found += [("Frames", ", ".join(dict.fromkeys(str(cell["frames"]) for cell in record["cells"])))]
    return tuple((name, value) for name, value in found if value)


def differences_from_defaults(config: Config, record: Record) -> Iterable[tuple[str, str, str]]:
    """(name, value, default) of the options that differ from VidPrism's preset of the row's reading, of all options of
    another method, of what the search found, and of the values of the recipe that differ from the profile's (only the
    number of updates if nothing was trained).
    """
    trained = identity.from_record(record)
    preset: dict[str, Any] = identity.preset(trained)
    for name, value in identity.changed_options(trained).items():
        yield f"options.{name}", panels.value_text(value), panels.value_text(preset.get(name)) if preset else ""
    train, search = record["config"]["train"], record["search"]
    if search:
        name = "train.lr" if search["space"] == "lr" else search["space"]
        yield name, panels.value_text(search["chosen"]), "found by the search"
    base = asdict(config.profile.train)
    for name, value in train.items() if train["updates"] else [("updates", 0)]:
        if name in base and list_of(value) != list_of(base[name]):
            yield f"train.{name}", panels.value_text(value), panels.value_text(base[name])


def list_of(value: Any) -> Any:
    """A tuple as a list, because JSON knows no tuples; anything else unchanged."""
    return list(value) if isinstance(value, tuple) else value


def _tables(config: Config, group: str, record: Record) -> Iterable[tuple[str, str, str]]:
    """The pages on which the row stands. On the readings page the default row has no line, because all
    changes are against it.
    """
    place, on_readings = panels.anchor(record["row"]), None
    folder = paths.tables(config).relative_to(config.root_dir / "reports").as_posix()
    numbers = {"closed_set": [1], "few_shot": [2]}.get(group, [])
    if group == "ablations":
        table, _ = home(identity.changed_options(identity.from_record(record)))
        is_default = record["row"] == default(config)
        numbers = [3, 4, 5] if is_default else [table] if table else []
        on_readings = "" if is_default else None if table else place
    for number in numbers:
        if f"table{number}" in config.profile.tables:
            yield f"{folder}/table{number}.html", f"Table {number}", place
    if on_readings is not None:
        yield f"{folder}/readings.html", "Readings", on_readings


def _trained(config: Config, record: Record, cell: Cell) -> TrainedCell:
    mean = results.cell_accuracy(cell)
    failed = {item["path"]: item["reason"] for repeat in cell["repeats"] for item in repeat.get("failed_videos", [])}
    skipped = [
        f"repeat {repeat['seed']}: {', '.join(videos)}"
        for repeat in cell["repeats"]
        for videos in repeat.get("skipped_updates", [])
    ]
    return TrainedCell(
        f"{heading(config.profile, cell['dataset'])}, {training_videos(cell['shots'])}",
        panels.cell_anchor(record["row"], cell),
        mean.value,
        float(mean.half_width()) if mean.n_groups > 1 else None,
        cell["updates"],
        cell["batch_size"],
        tuple(failed.items()),
        tuple(skipped),
    )
