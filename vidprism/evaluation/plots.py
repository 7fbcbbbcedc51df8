"""The curves that `dvc plots` shows for a group of rows: accuracy of every cell, training loss, and accuracy against
the number of views. Nothing here imports torch.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidprism.config import Config


def write_plots(config: Config, group: str, records: Iterable[dict[str, Any]]) -> None:
    """Write accuracy.csv, loss.csv and views.csv of a group below reports/plots/<profile>/.

    Args:
        records: evaluated records; rows that were not run have no cells and so no points.
    """
    cells = [(record["row"], cell) for record in records for cell in record["cells"]]
    accuracy = [
        {**_place(row, cell), "top1": cell["top1"]["mean"], "cell": f"{row} {cell['dataset']} {_shots(cell)}"}
        for row, cell in cells
    ]
    loss = [
        {**_place(row, cell), "update": update, "loss": value} for row, cell in cells for update, value in _curve(cell)
    ]
    views = [
        {**_place(row, cell), "views": point["n_clips"] * point["n_crops"], **point}
        for row, cell in cells
        for point in cell["views"]
    ]
    folder = config.root_dir / "reports" / "plots" / config.profile.name / group
    _save(folder / "accuracy.csv", ["row", "dataset", "shots", "top1", "cell"], accuracy)
    _save(folder / "loss.csv", ["row", "dataset", "shots", "update", "loss"], loss)
    _save(folder / "views.csv", ["row", "dataset", "shots", "views", "n_clips", "n_crops", "top1"], views)


def _place(row: str, cell: dict[str, Any]) -> dict[str, Any]:
    return {"row": row, "dataset": cell["dataset"], "shots": _shots(cell)}


def _shots(cell: dict[str, Any]) -> int | str:
    return "all" if cell["shots"] is None else cell["shots"]


def _curve(cell: dict[str, Any]) -> Iterable[tuple[int, float]]:
    """Points (update, mean loss of the repeats); empty for a method that is not trained."""
    curve = cell.get("curve") or {"step": [], "loss": []}
    return zip(curve["step"], curve["loss"], strict=True)


def _save(path: Path, columns: list[str], lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
