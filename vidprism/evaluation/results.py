"""Read and write results: the records of `vidprism.records.record`, one file per group of rows.

`data/runs/<profile>/<group>/<row>/record.json` holds one record. `reports/results/<profile>/<group>.json` holds those
of a group: the numbers that `dvc metrics` shows per row and cell, and the full records in the list `records` (DVC
ignores lists).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from vidprism.config import BackboneConfig, Config, paths
from vidprism.config.rows import Row, rows
from vidprism.evaluation import stats
from vidprism.records.record import (
    MEASURED,
    NOT_RUN,
    SCHEMA,
    Cell,
    Estimate,
    Record,
    Repeat,
    ResultsError,
    cell_key,
    check_record,
)

__all__ = [
    "MEASURED",
    "NOT_RUN",
    "SCHEMA",
    "Cell",
    "Estimate",
    "Record",
    "Repeat",
    "ResultsError",
    "cell_accuracy",
    "cell_answers",
    "cell_key",
    "check_record",
    "decode_groups",
    "encode_groups",
    "estimate",
    "find_cell",
    "groups",
    "headline",
    "load_results",
    "read_json",
    "read_records",
    "write_results",
]

Answers = Literal["correct", "correct5"]  # which answers of a repeat: the best class, or the five best


def load_results(config: Config, group: str) -> dict[str, Record]:
    """The records of the rows that the profile expects, in table order.

    A row without a record, or with one made under another configuration than params.yaml now has, is "not run" with a
    reason. A record holds the complete options, including defaults, and not which of them were set. An option that was
    since removed from params.yaml is therefore found by comparison with the group's first row of the same method and
    frames (in the ablations, `default`). If it was removed for all of them (under `methods`), only `dvc repro` finds
    it.

    Raises:
        ResultsError: broken JSON, unknown schema or a missing key.
    """
    path = paths.results(config, group)
    found = {record["row"]: record for record in read_records(path)} if path.is_file() else {}
    first: dict[tuple[str, int], tuple[Row, Record]] = {}
    current = {}
    for key, row in rows(config, group).items():
        spec = config.profile.backbones.get(row.backbone)
        current[key] = _current(row, spec, found.get(key), first.get((row.method, row.frames)))
        if current[key]["status"] == MEASURED:
            first.setdefault((row.method, row.frames), (row, current[key]))
    return current


def read_records(path: Path) -> list[Record]:
    """All records of one group file, checked.

    Raises:
        ResultsError: broken JSON, unknown schema or a missing key.
    """
    content = read_json(path)
    records = content.get("records") if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise ResultsError(f"{path}: has no list 'records'; delete the file and run `dvc repro`")
    for record in records:
        check_record(record, str(path))
    return records


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ResultsError: the file is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} is not valid JSON ({error}); delete the file and run `dvc repro`") from error


def write_results(config: Config, group: str, records: Iterable[Record]) -> Path:
    """Write a group's file: its headline, then the checked records. The same records give the same
    bytes.

    Raises:
        ResultsError: a record that `load_results` would refuse.
    """
    records = list(records)
    path = paths.results(config, group)
    for record in records:
        check_record(record, f"record for {path.name}")
    content = {**headline(records), "records": records}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def headline(records: Iterable[Record]) -> dict[str, float]:
    """What `dvc metrics show` prints of a group, so that it fits a screen: measured rows and cells, the mean top-1 in
    percent over all of them, that of VidPrism (the first row of the paper's reading), and the highest one of another
    row with the same cells.
    """
    measured = [record for record in records if record["status"] == MEASURED]
    if not measured:
        return {"rows": 0, "cells": 0}
    top1 = [[cell_accuracy(cell).value for cell in record["cells"]] for record in measured]
    found: dict[str, Any] = {
        "rows": len(measured),
        "cells": sum(map(len, top1)),
        "top1_mean": np.mean(np.concatenate(top1)),
    }
    own = next((i for i, record in enumerate(measured) if record.get("reading") == "paper"), None)
    if own is not None:
        found["top1_vidprism"] = np.mean(top1[own])
        places = [[(cell["dataset"], cell["shots"]) for cell in record["cells"]] for record in measured]
        others = [np.mean(top1[i]) for i in range(len(measured)) if i != own and places[i] == places[own]]
        found |= {"top1_best_other": max(others)} if others else {}
    return {name: value if isinstance(value, int) else round(float(value), 2) for name, value in found.items()}


def find_cell(record: Record, dataset: str, shots: int | None) -> Cell | None:
    """The record's cell for a dataset and a number of shots, or None."""
    return next((c for c in record.get("cells", []) if (c["dataset"], c["shots"]) == (dataset, shots)), None)


def cell_answers(cell: Cell, key: Answers = "correct") -> np.ndarray:
    """The cell's answers, (R repeats, V listed videos) of 1, 0, -1; `key` is correct (top-1) or correct5
    (top-5).
    """
    return stats.answer_matrix([repeat[key] for repeat in cell["repeats"]])


def groups(cell: Cell) -> np.ndarray | None:
    """Group number of each listed test video, (V,). None if each counts as a group of its own: the dataset has no
    groups, or the record is older than they are.
    """
    return decode_groups(cell.get("groups"))


def cell_accuracy(cell: Cell, key: Answers = "correct") -> stats.Mean:
    """The cell's accuracy in percent over draws and groups; `key` as in `cell_answers`."""
    return stats.accuracy(cell_answers(cell, key), groups(cell))


def estimate(texts: list[str], of_video: str | None = None) -> Estimate:
    """Accuracy in percent from answer strings, one per repeat, with its intervals; `of_video` as `Cell.groups`.

    Raises:
        ValueError: malformed strings, or no readable video.
    """
    matrix, numbers = stats.answer_matrix(texts), decode_groups(of_video)
    mean = stats.accuracy(matrix, numbers)
    by_repeat, over_groups = stats.single_factor(matrix, numbers)
    return {
        "mean": mean.value,
        "ci95": list(mean.interval),
        "n_draws": mean.n_draws,
        "n_groups": mean.n_groups,
        "ci95_repeats": None if by_repeat is None else list(by_repeat),
        "ci95_groups": list(over_groups),
    }


def encode_groups(names: Sequence[str]) -> str | None:
    """Names of groups, one per listed test video ("" for a video that is its own group), as numbers in order of
    appearance, `0 0 1 2 2`; None if no video has a group.
    """
    if not any(names):
        return None
    numbers: dict[tuple[str, int], int] = {}
    keys = [(name, -1 if name else i) for i, name in enumerate(names)]
    return " ".join(str(numbers.setdefault(key, len(numbers))) for key in keys)


def decode_groups(text: str | None) -> np.ndarray | None:
    """The numbers of `encode_groups`, (V,); None stays None."""
    return None if text is None else np.array(text.split(), dtype=np.int64)


def _current(row: Row, spec: BackboneConfig | None, record: Record | None, first: tuple[Row, Record] | None) -> Record:
    if record is None:
        return _not_run(row, "no result yet")
    if record["status"] != MEASURED:
        return {"cells": [], "reason": "no result yet", **record}
    changed = [*_changed(row, spec, record), *(_left_over(row, record, *first) if first else [])]
    if not changed:
        return record
    reason = f"params.yaml changed since it was measured ({', '.join(changed)}); run `dvc repro`"
    return _not_run(row, reason)


def _not_run(row: Row, reason: str) -> Record:
    return cast(Record, {"row": row.key, "status": NOT_RUN, "reason": reason, "cells": []})


def _changed(row: Row, spec: BackboneConfig | None, record: Record) -> list[str]:
    """What the row asks for now but the record was not made with. Such a result must not appear under the new
    configuration.

    A method that is not trained has no updates; then neither the updates nor the batch size are compared.
    """
    config, cells = record["config"], record["cells"]
    made = {"method": record["method"], "track": record["track"], "backbone": record["backbone"].get("name")}
    differs = [name for name, value in made.items() if value != getattr(row, name)]
    if spec is not None and "backbone" not in differs:
        kind = {name: record["backbone"].get(name) for name in ("key", "model", "size")}
        differs += [f"{name} of the backbone" for name, value in kind.items() if value != getattr(spec, name)]
    differs += [name for name, value in _asked(row).items() if config.get("options", {}).get(name) != value]
    if any(cell["frames"] != row.frames for cell in cells):
        differs.append("frames")
    if any([repeat["seed"] for repeat in cell["repeats"]] != list(row.repeats) for cell in cells):
        differs.append("repeats")
    trained = [cell for cell in cells if cell["updates"]]
    if any(cell["updates"] != row.updates for cell in trained):
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
