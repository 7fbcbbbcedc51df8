"""Cost beside accuracy: what one view of a measured cell costs."""

from __future__ import annotations

from vidprism import complexity
from vidprism.records.record import Cell, Record

MEASURED_HEADINGS = ("Frames, clips × crops", "GMACs / view", "Params (trained), M")
NO_FORMULA = "no formula"
CHECK_HEADINGS = ("GMACs / view", "The printed number")


def counted(record: Record, cell: Cell) -> complexity.Count | None:
    """The cost of one view of a measured cell, by formula from its record; None if the method has no formula."""
    backbone = record["backbone"]
    if not complexity.has_formula(record["method"], backbone["key"]):
        return None
    return complexity.count(
        record["method"],
        backbone["model"],
        cell["frames"],
        n_classes=cell["n_classes"],
        options=record["config"]["options"],
        track=record["track"],
        key=backbone["key"],
    )


def measured_with(record: Record, cell: Cell) -> tuple[str, str, str]:
    """The cells under `MEASURED_HEADINGS`."""
    cost = counted(record, cell)
    views = f"{cell['frames']}, {cell['n_clips']} × {cell['n_crops']}"
    if cost is None:
        return views, NO_FORMULA, NO_FORMULA
    millions = f"{cost.parameters / 1e6:.3g} ({cost.trainable_parameters / 1e6:.3g})"
    return views, f"{cost.gmacs:.3g}", millions
