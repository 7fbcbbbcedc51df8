"""The page of the rehearsal: what ran on random weights, and every row of the paper profile, built and counted.

A row is built on torch's meta device, where tensors have shapes and no values, so that a ViT-L/14 with its head costs
nothing. Its parameters are compared with the formula of `vidprism.complexity`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from tools.rehearse_peers import trained_without_values
from vidprism import methods
from vidprism.complexity import count, has_formula, time_steps
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS, Row, rows
from vidprism.evaluation import results
from vidprism.records.record import REHEARSED
from vidprism.report import report_version
from vidprism.report.render import render_page
from vidprism.report.tables.layout import real_name

SPEED = ("train_videos_per_sec", "eval_videos_per_sec", "peak_device_mib")
CLASSES = {"hmdb51": 51, "kinetics400": 400, "ssv2": 174, "ucf101": 101}  # classes of the official datasets


@dataclass(frozen=True)
class Ran:
    """A rehearsed row: what it did, or why it did not run; wall time and memory of its training stage; and its speed in
    training and scoring, reading included (None if it was not measured, or without a GPU).
    """

    group: str
    row: str
    status: str
    reason: str
    seconds: float
    peak_mib: int
    train_videos_per_sec: float | None
    eval_videos_per_sec: float | None
    peak_device_mib: int | None


@dataclass(frozen=True)
class Planned:
    """A row of the paper profile: parameters as built and by formula (of a peer, those that train), and 10^9
    multiply-adds of a view. The last two are None if the method or the backbone has no formula.
    """

    group: str
    row: str
    backbone: str
    frames: int
    cells: str
    status: str
    built: int
    counted: int | None
    gmacs: float | None

    @property
    def agrees(self) -> bool:
        """Whether the formula gives the parameters that were built."""
        return self.counted in (None, self.built)


def write(rehearsed: Config, paper: Config) -> Path:
    """Write ``rehearsal.html`` beside the tables of the rehearsed profile, and return its path.

    Raises:
        RuntimeError: a row did not run, or a formula disagrees with what was built; the page says which.
    """
    ran, planned = what_ran(rehearsed), plan(paper, rehearsed)
    target = paths.tables(rehearsed) / "rehearsal.html"
    version = report_version(rehearsed, [paths.results(rehearsed, group) for group in GROUPS])
    page = {"ran": ran, "planned": planned, "title": "Rehearsal"}
    file = target.relative_to(rehearsed.root_dir / "reports").as_posix()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render_page("rehearsal", rehearsed, file, version=version, **page), encoding="utf-8")
    wrong = [row.row for row in ran if row.status != REHEARSED] + [row.row for row in planned if not row.agrees]
    if wrong:
        raise RuntimeError(f"the rehearsal did not succeed for {', '.join(wrong)}; see {target}")
    return target


def what_ran(config: Config) -> list[Ran]:
    """The rows of the rehearsed profile, from their results and the times of their stages."""
    found = []
    for group in GROUPS:
        for key, record in results.load_results(config, group).items():
            cost = _read(paths.timings(config) / f"train-{group}-{key}.json", ("seconds", "peak_mib"))
            speed = _read(paths.speed(config, group, key), SPEED)
            done = (record["status"], record.get("reason", ""))
            found.append(Ran(group, key, *done, cost["seconds"] or 0, cost["peak_mib"] or 0, **speed))
    return found


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, float | None]:
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {key: facts.get(key) for key in keys}


def plan(config: Config, rehearsed: Config) -> list[Planned]:
    """Every row of the profile `config` in table order, built and counted. A row that `rehearsed` ran in the same form
    (group, method and options, size of backbone, frames) is marked.
    """
    ran = {_form(rehearsed, row) for group in GROUPS for row in rows(rehearsed, group).values()}
    return [_planned(config, row, ran) for group in GROUPS for row in rows(config, group).values()]


def _planned(config: Config, row: Row, ran: set[tuple]) -> Planned:
    spec, n_classes = config.profile.backbones[row.backbone], CLASSES[row.datasets[0]]
    steps = time_steps(spec.key, spec.model, row.frames)
    options = methods.resolve(row.method, row.options, steps)
    is_peer = methods.says(row.method, "IS_PEER")
    if is_peer:
        built = trained_without_values(row.method, options, spec.key, spec.model, row.frames, n_classes)
    else:
        built = build(spec.key, spec.model, row, options, n_classes, steps)
    cost = None
    if has_formula(row.method, spec.key):
        cost = count(row.method, spec.model, row.frames, n_classes=n_classes, options=options, key=spec.key)
    cells = [f"{real_name(dataset)}{'' if shots is None else f' K={shots}'}" for dataset, shots in row.cells]
    return Planned(
        row.group,
        row.key,
        f"ViT-{spec.size}",
        row.frames,
        f"{', '.join(cells)}; {len(row.repeats)} repeats",
        REHEARSED if _form(config, row) in ran else "not run",
        built,
        (cost.trainable_parameters if is_peer else cost.parameters) if cost else None,
        cost.gmacs if cost else None,
    )


def _form(config: Config, row: Row) -> tuple:
    size = config.profile.backbones[row.backbone].size
    return row.group, row.method, size, row.frames, repr(sorted(row.options.items()))


def build(key: str, model: str, row: Row, options: dict, n_classes: int, steps: int) -> int:
    """Parameters of a row's image tower and head, built on the meta device: shapes without memory."""
    tower, dim = import_module(f"vidprism.backbones.{key}").visual(model)
    with torch.device("meta"):
        task = methods.Task(dim, n_classes, steps, torch.empty(n_classes, dim))
        head = methods.build(row.method, task, options, 0)
    return sum(p.numel() for module in (tower, head) for p in module.parameters())
