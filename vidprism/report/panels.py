"""The provenance of each number on a page, as data: one panel per row, one table line per cell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vidprism.config import Profile
from vidprism.evaluation import results
from vidprism.records.record import SPACES, Cell, Record, Repeat, cell_key
from vidprism.report.tables import identity
from vidprism.report.tables.cost import NO_FORMULA, counted
from vidprism.report.tables.layout import Line, heading
from vidprism.report.tables.setting import source_of, training_videos, views_in_words

UNREADABLE_SHOWN = 20  # a page lists this many unreadable videos of a cell; the results JSON lists all of them


@dataclass(frozen=True)
class CellPanel:
    """The provenance of one cell: (name, value) facts, its repeats, and its unreadable videos as (path,
    reason).
    """

    anchor: str
    title: str
    facts: tuple[tuple[str, str], ...]
    repeats: tuple[tuple[str, ...], ...]
    unreadable: tuple[tuple[str, str], ...]
    n_unreadable: int


@dataclass(frozen=True)
class Panel:
    """The provenance of one row. `timing`: the file of its wall time; `curves`: its run page, below reports/."""

    anchor: str
    title: str
    facts: tuple[tuple[str, str], ...]
    cells: tuple[CellPanel, ...]
    timing: str
    curves: str


REPEAT_HEADINGS = (
    "Seed",
    "Draw",
    "Top-1",
    "Top-5",
    "Loss, first → last tenth",
    "Loss flat",
    "Training clips",
    "Draw sha256",
)


def anchor(*parts: object) -> str:
    """An HTML id from names: letters, digits, -, _ and dots between the names."""
    return ".".join(["p", *(re.sub(r"[^A-Za-z0-9_-]+", "_", str(part)) for part in parts)])


def panels(profile: Profile, lines: Iterable[Line]) -> list[Panel]:
    """One panel per measured row, in the order of the lines; a row with several lines gets one panel."""
    found = {line.run: line.record for line in lines if line.status == "measured"}
    return [row_panel(profile, record) for record in found.values()]


def row_panel(profile: Profile, record: Record) -> Panel:
    """The panel of a measured record."""
    run, group = record["row"], record["group"]
    return Panel(
        anchor(run),
        f"{run}: {identity.title(identity.from_record(record))}",
        _facts(profile, record),
        tuple(_cell(profile, record, run, cell) for cell in record["cells"]),
        f"reports/timings/{profile.name}/train-{group}-{run}.json",
        f"runs/{profile.name}/{group}/{run}.html",
    )


def cell_anchor(run: str, cell: Cell) -> str:
    """The HTML id of a cell's provenance."""
    return anchor(run, cell_key(cell["dataset"], cell["shots"]))


def _facts(profile: Profile, record: Record) -> tuple[tuple[str, str], ...]:
    code, search, backbone = record["code"], record["search"], record["backbone"]
    state = {True: ", with uncommitted changes", False: "", None: ""}[code.get("dirty")]
    facts = [
        ("Method", f"{record['method']}{', reading ' + record['reading'] if record.get('reading') else ''}"),
        ("Track", record["track"]),
        ("Backbone", f"{backbone.get('name')} (weights {str(backbone.get('weights_sha256'))[:12]})"),
        ("Options", pairs(record["config"].get("options", {}))),
        ("Training", pairs(record["config"].get("train", {}))),
        ("Search", _search(profile, record, search) if search else "none"),
        ("Code", f"version {code.get('version')}, base commit {code.get('base_commit')}{state}"),
        ("Environment", pairs(record["environment"])),
    ]
    return tuple(facts)


def _search(profile: Profile, record: Record, search: dict[str, Any]) -> str:
    what, trials = SPACES.get(search["space"], search["space"]), search["trials"]
    if "own" in record["config"]:
        return f"none: {what} of the method's authors"
    chosen, close = str(search["chosen"]), search.get("not_separable", [])
    error = (search.get("error") or {}).get(chosen)
    found = f"{what} {chosen}, best of {len(trials)} trials on {search['split']} ({pairs(trials)})"
    if error is not None:
        found += f", standard error of the best {error:.1f}"
    if close:
        found += f"; not distinguishable from {', '.join(map(str, close))}"
    if search["space"] == "prompt_set":
        return found
    found += f"; {search.get('draws', 1)} draw{'s' if search.get('draws', 1) != 1 else ''}"
    edge = "; at the edge of the range" if search.get("at_edge") else ""
    return f"{found}{edge}; {source_of(what, record['group'], record['track'], profile.protocol.track)}"


def _cell(profile: Profile, record: Record, run: str, cell: Cell) -> CellPanel:
    scored = f"{cell['n_scored']} of {cell['n_listed']} listed test videos"
    seen = f"{cell['frames']} frames, {views_in_words(cell['n_clips'], cell['n_crops'])}"
    cost = counted(record, cell)
    facts = [
        ("Scored", f"{scored}, {cell['n_classes']} classes"),
        ("Top-1 with 95 % intervals", _intervals(cell)),
        ("Data", str(cell["data_fingerprint"])),
        ("Split, frames, views", f"split {cell['split']}, {seen}, mean of {cell['fusion']}"),
        ("GMACs per view", f"{cost.gmacs:.4g}" if cost else NO_FORMULA),
        ("Updates", _updates(cell)),
    ]
    optional = {
        "Parameters trained": "parameters",
        "Expert usage": "expert_usage",
    }
    if within := cell.get("within_pairs"):
        low, high = within["ci95"]
        facts.insert(2, ("Within pairs of opposites (chance 50)", f"{within['mean']:.1f} [{low:.1f}, {high:.1f}]"))
    facts += [(name, value_text(value)) for name, key in optional.items() if (value := cell.get(key)) is not None]
    facts += _left_out(cell) + _lists(cell)
    broken = cell["unreadable"]
    listed = tuple((item["path"], item["reason"]) for item in broken[:UNREADABLE_SHOWN])
    return CellPanel(
        cell_anchor(run, cell),
        f"{heading(profile, cell['dataset'])}, {training_videos(cell['shots'])}",
        tuple(facts),
        tuple(map(_repeat, cell["repeats"])),
        listed,
        len(broken),
    )


def _updates(cell: Cell) -> str:
    if cell["updates"]:
        return f"{cell['updates']} of {cell['batch_size']} clips"
    return "none: fitted on all training clips at once" if cell.get("parameters") else "not trained"


def _intervals(cell: Cell) -> str:
    """Top-1 in percent over draws and groups, and over each of them only."""
    found = results.estimate([repeat["correct"] for repeat in cell["repeats"]], cell.get("groups"))

    def written(interval: list[float] | None) -> str:
        return "none" if interval is None else f"[{interval[0]:.1f}, {interval[1]:.1f}]"

    over = f"{found['n_draws']} repeats that differ and {found['n_groups']} groups"
    alone = f"over repeats only {written(found['ci95_repeats'])}, over groups only {written(found['ci95_groups'])}"
    return f"{found['mean']:.1f} {written(found['ci95'])} over {over}; {alone}"


def _left_out(cell: Cell) -> list[tuple[str, str]]:
    """The data that training left out, if any; the page of the run lists it."""
    counts = {
        "Training videos that could not be read": sum(len(r.get("failed_videos", [])) for r in cell["repeats"]),
        "Updates left out, not finite": sum(len(r.get("skipped_updates", [])) for r in cell["repeats"]),
    }
    return [(name, f"{count}, over all repeats") for name, count in counts.items() if count]


def _lists(cell: Cell) -> list[tuple[str, str]]:
    """Facts from external lists: the K shots used for training, and the score on a common subset."""
    facts, shots, common = [], cell.get("shot_list"), cell.get("subset")
    if shots:
        facts.append(
            ("Shots from", f"{shots['name'] or 'a list of the user'}: {shots['file']}, sha256 {shots['sha256'][:12]}")
        )
    if common:
        score = f"{common['top1']['mean']:.1f}" if common["top1"] else "–"
        scored = f"{common['n_scored']} of {common['n_listed']} videos scored"
        facts.append(("Common subset", f"{score}, {scored} ({common['file']}, sha256 {common['sha256'][:12]})"))
    curve = cell.get("views") or []
    if len(curve) > 1:
        points = [f"{views_in_words(p['n_clips'], p['n_crops'])} {p['top1']:.1f}" for p in curve]
        facts.append(("Top-1 by views", "; ".join(points)))
    return facts


def _repeat(repeat: Repeat) -> tuple[str, ...]:
    first, last = repeat.get("loss_first"), repeat.get("loss_last")
    return (
        str(repeat["seed"]),
        value_text(repeat["draw"]),
        f"{repeat['top1']:.1f}",
        f"{repeat['top5']:.1f}",
        "–" if first is None else f"{first:.3f} → {last:.3f}",
        {True: "yes", False: "no", None: "–"}[repeat.get("loss_flat")],
        value_text(repeat.get("clips_seen")),
        str(repeat.get("draw_sha256") or "–")[:12],
    )


def pairs(values: dict[str, Any]) -> str:
    """`name=value, ...` of a mapping, in its order."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in values.items()) or "none"


def value_text(value: Any) -> str:
    """An option or a fact as text."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "[" + ", ".join(map(value_text, value)) + "]" if isinstance(value, list | tuple) else str(value)
