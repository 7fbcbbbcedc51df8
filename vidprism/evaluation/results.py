"""Read and write results: the records of `vidprism.records.record`, one file a row.

`data/runs/<profile>/<group>/<row>/record.json` holds a record before its evaluation, and
`reports/results/<profile>/<group>/<row>.json` the evaluated one. `reports/results/<profile>/<group>.json` holds the
numbers that `dvc metrics` shows and the list `records` (DVC ignores lists): the hash of each row's file, or the reason
why a row has no result. A file of results can come from another machine (`tools/merge_rows.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from vidprism.config import BackboneConfig, Config, paths
from vidprism.config.rows import Row, rows
from vidprism.evaluation import stats
from vidprism.evaluation.up_to_date import changes_since
from vidprism.records import row_file
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
    "decode_groups",
    "encode_groups",
    "estimate",
    "find_cell",
    "groups",
    "headline",
    "load_results",
    "not_run",
    "read_json",
    "read_records",
    "read_row",
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
    found = {record["row"]: record for record in read_records(config, group)}
    first: dict[tuple[str, int], tuple[Row, Record]] = {}
    current = {}
    for key, row in rows(config, group).items():
        spec = config.profile.backbones.get(row.backbone)
        current[key] = _current(row, spec, found.get(key), first.get((row.method, row.frames)))
        if current[key]["status"] == MEASURED:
            first.setdefault((row.method, row.frames), (row, current[key]))
    return current


def read_records(config: Config, group: str, profile: str = "") -> list[Record]:
    """All records of a group, checked; of another profile if it is named. Empty if the group has no results.

    Raises:
        ResultsError: broken JSON, unknown schema or a missing key; the file of a row is missing or another one than
            that of the list.
    """
    path = paths.results(config, group, profile)
    if not path.is_file():
        return []
    content = read_json(path)
    listed = content.get("records") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) and "row" in entry for entry in listed):
        raise ResultsError(f"{path}: has no list 'records'; delete the file and run `dvc repro`")
    return [_listed(config, group, profile, entry) for entry in listed]


def _listed(config: Config, group: str, profile: str, entry: dict[str, Any]) -> Record:
    if entry.get("status") != MEASURED:
        return cast(Record, {"cells": [], **entry})
    path = paths.row_results(config, group, entry["row"], profile)
    record = read_row(path)
    if entry.get("sha256") != _sha256(path):
        raise ResultsError(
            f"{path} is not the file that {path.parent.name}.json lists: one of the two was edited or comes from "
            "elsewhere; `python -m tools.merge_rows` checks the row and lists it, `git checkout` brings both back"
        )
    return record


def read_row(path: Path) -> Record:
    """The record of one row's file, checked.

    Raises:
        ResultsError: the file is missing or damaged.
    """
    if not path.is_file():
        raise ResultsError(f"{path} is missing although its group lists it; `git checkout` it, or run `dvc repro`")
    return row_file.from_text(path.read_text(encoding="utf-8"), str(path))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    """Write a file for each measured row and the group's own: its headline, then the list of rows. Files of other rows
    are removed. The same records give the same bytes.

    Raises:
        ResultsError: a record that `load_results` would refuse.
    """
    records = list(records)
    path = paths.results(config, group)
    files = {paths.row_results(config, group, r["row"]): r for r in records if r["status"] == MEASURED}
    texts = {file: row_file.to_text(record, f"record for {file.name}") for file, record in files.items()}
    path.with_suffix("").mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    for left in set(path.with_suffix("").glob("*.json")) - set(texts):
        left.unlink()
    content = {**headline(records), "records": [_entry(config, group, record) for record in records]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _entry(config: Config, group: str, record: Record) -> dict[str, Any]:
    """What a group's file says of a row."""
    if record["status"] != MEASURED:
        return dict(record)
    sha256 = _sha256(paths.row_results(config, group, record["row"]))
    return {"row": record["row"], "status": MEASURED, "sha256": sha256}


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
        return not_run(row, "no result yet")
    if record["status"] != MEASURED:
        return {"cells": [], "reason": "no result yet", **record}
    changed = changes_since(row, spec, record, first)
    if not changed:
        return record
    reason = f"params.yaml changed since it was measured ({', '.join(changed)}); run `dvc repro`"
    return not_run(row, reason)


def not_run(row: Row, reason: str) -> Record:
    """The record of a row without a result."""
    return cast(Record, {"row": row.key, "status": NOT_RUN, "reason": reason, "cells": []})
