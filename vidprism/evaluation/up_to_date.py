"""Whether a record was made with what params.yaml asks of its row now."""

from __future__ import annotations

import dataclasses
from typing import Any

from vidprism.config import BackboneConfig
from vidprism.config.rows import Row
from vidprism.records.record import Record


def changes_since(row: Row, spec: BackboneConfig | None, record: Record, first: tuple[Row, Record] | None) -> list[str]:
    """What the row asks for now but the record was not made with, in words; such a result must not appear under the new
    configuration. `first` is the group's first measured row of the same method and frames, with its record.
    """
    return [*_changed(row, spec, record), *(_left_over(row, record, *first) if first else [])]


def _changed(row: Row, spec: BackboneConfig | None, record: Record) -> list[str]:
    """A method that is not trained has no updates; then neither the updates nor the batch size are compared."""
    config, cells = record["config"], record["cells"]
    made = {"method": record["method"], "track": record["track"], "backbone": record["backbone"].get("name")}
    differs = [name for name, value in made.items() if value != getattr(row, name)]
    if spec is not None and "backbone" not in differs:
        kind = {name: record["backbone"].get(name) for name in ("key", "model", "size")}
        differs += [f"{name} of the backbone" for name, value in kind.items() if value != getattr(spec, name)]
    differs += [name for name, value in _asked(row).items() if config.get("options", {}).get(name) != value]
    differs += [name for name in ("augment", "init_from") if config.get(name, "") != getattr(row, name)]
    if config.get("own") != (dataclasses.asdict(row.own) if row.own is not None else None):
        differs.append("recipe")
    if any(cell["frames"] != row.frames for cell in cells):
        differs.append("frames")
    if any([repeat["seed"] for repeat in cell["repeats"]] != list(row.repeats) for cell in cells):
        differs.append("repeats")
    trained = [cell for cell in cells if cell["updates"]]
    if row.own is None and any(cell["updates"] != row.updates for cell in trained):
        differs.append("updates")
    # The batch of a cell is smaller than requested if the cell has fewer clips.
    if trained and config.get("train", {}).get("batch_size") != row.batch_size:
        differs.append("batch_size")
    return differs


def _left_over(row: Row, record: Record, first: Row, reference: Record) -> list[str]:
    """Options that neither row sets and that still differ: one of the two was made with a switch that params.yaml no
    longer sets. Rows of different readings have different defaults and are not compared.
    """
    asked, other = _asked(row), _asked(first)
    if asked.get("reading") != other.get("reading"):
        return []
    made, expected = (r["config"].get("options", {}) for r in (record, reference))
    unasked = sorted((made.keys() | expected.keys()) - asked.keys() - other.keys())
    return [f"{name} was {made.get(name)}" for name in unasked if made.get(name) != expected.get(name)]


def _asked(row: Row) -> dict[str, Any]:
    """The options that params.yaml sets; an option set to null is left to the method."""
    return {name: value for name, value in row.options.items() if value is not None}
