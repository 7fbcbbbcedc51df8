"""The curves that `dvc plots` shows for a group of rows: accuracy of every cell, training loss, and accuracy against
the number of views. Nothing here imports torch.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidprism.config import Config

PLACE = ["row", "rows", "dataset", "shots"]  # `rows`: the part of the group that the row belongs to
MOST_SERIES = 12  # rows in one picture: more cannot be told by their colours


def write_plots(config: Config, group: str, records: Iterable[dict[str, Any]]) -> None:
    """Write accuracy.csv, and loss/ and views/ with a file for each `MOST_SERIES` rows, below
    reports/plots/<profile>/<group>/. DVC draws a picture of each file.

    Args:
        records: evaluated records; rows that were not run have no cells and so no points.
    """
    records = [record for record in records if record["cells"]]
    cells = [
        (_place(record["row"], i, len(records), cell), cell)
        for i, record in enumerate(records)
        for cell in record["cells"]
    ]
    accuracy = [{**place, "top1": cell["top1"]["mean"], **_interval(cell)} for place, cell in cells]
    loss = [{**place, "update": update, "loss": value} for place, cell in cells for update, value in _curve(cell)]
    views = [
        {**place, "views": point["n_clips"] * point["n_crops"], **point}
        for place, cell in cells
        for point in cell["views"]
    ]
    folder = config.root_dir / "reports" / "plots" / config.profile.name / group
    _save(folder / "accuracy.csv", [*PLACE, "top1", "low", "high"], accuracy)
    _save_parts(folder / "loss", [*PLACE, "update", "loss"], loss)
    _save_parts(folder / "views", [*PLACE, "views", "n_clips", "n_crops", "top1"], views)


def _place(row: str, number: int, n_rows: int, cell: dict[str, Any]) -> dict[str, Any]:
    first = number // MOST_SERIES * MOST_SERIES
    last = min(first + MOST_SERIES, n_rows)
    return {
        "row": row,
        "rows": f"rows {first + 1} to {last}",
        "dataset": cell["dataset"],
        "shots": _shots(cell),
    }


def _interval(cell: dict[str, Any]) -> dict[str, float]:
    """The ends of the 95 % interval over draws and groups; those of the mean if there is none."""
    low, high = cell["top1"].get("ci95") or (cell["top1"]["mean"],) * 2
    return {"low": round(low, 4), "high": round(high, 4)}


def _shots(cell: dict[str, Any]) -> int | str:
    return "all" if cell["shots"] is None else cell["shots"]


def _curve(cell: dict[str, Any]) -> Iterable[tuple[int, float]]:
    """Points (update, mean loss of the repeats); empty for a method that is not trained."""
    curve = cell.get("curve") or {"step": [], "loss": []}
    return zip(curve["step"], curve["loss"], strict=True)


def _save_parts(folder: Path, columns: list[str], lines: list[dict[str, Any]]) -> None:
    """One file a part, in place of all earlier ones; without lines, a file without points."""
    shutil.rmtree(folder, ignore_errors=True)
    for i, rows in enumerate(dict.fromkeys(line["rows"] for line in lines) or [""]):
        _save(folder / f"part_{i + 1:02d}.csv", columns, [line for line in lines if line["rows"] == rows])


def _save(path: Path, columns: list[str], lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
