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
from vidprism.report.render import option
from vidprism.report.tables import identity
from vidprism.report.tables.ablations import default, home
from vidprism.report.tables.layout import heading
from vidprism.report.tables.setting import training_videos

KEYS = {"lr": "train.lr", "c": "train.inverse_penalty"}  # in a record, by what the search tried


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
    """(name, value, default) of what differs from the defaults, and of what the search found.

    The defaults of encoder, frames and track are those of the group of rows and of the profile. The default of an
    option is the paper's reading for VidPrism, and `methods` of params.yaml for another method. The default of a recipe
    is that of the profile; of a row that made no updates, only their number is compared.
    """
    yield from _differing("", *_place(config, record))
    yield from _differing("options.", record["config"]["options"], _default_options(config, record))
    train, search = record["config"]["train"], record["search"]
    if search:
        yield KEYS.get(search["space"], search["space"]), panels.value_text(search["chosen"]), "found by the search"
    yield from _differing("train.", train if train["updates"] else {"updates": 0}, asdict(config.profile.train))


def _place(config: Config, record: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    """Encoder, frames and track of a row, and those of its group. Table 1 has rows of several encoders and frames, none
    of which is a default.
    """
    section = getattr(config.profile, record["group"])
    here = {"encoder": record["backbone"].get("name"), "frames": record["cells"][0]["frames"], "track": record["track"]}
    default = {"track": config.profile.protocol.track}
    if record["group"] != "closed_set":
        default |= {"encoder": section.backbone, "frames": section.frames}
    return here, default


def _default_options(config: Config, record: Record) -> dict[str, Any]:
    trained = identity.from_record(record)
    if trained.is_vidprism:
        return {"reading": "paper", **identity.preset(trained, "paper")}
    return config.methods.get(record["method"], {})


def _differing(prefix: str, here: dict[str, Any], default: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    for name, value in here.items():
        if name in default and list_of(value) != list_of(default[name]):
            yield f"{prefix}{name}", _as_in_params(value), _as_in_params(default[name])


def _as_in_params(value: Any) -> str:
    return option(value) if isinstance(value, bool) else panels.value_text(value)


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
