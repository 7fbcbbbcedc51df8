"""The result record: what one row of a table measured, with everything needed to judge and to repeat it.

A record is plain JSON: dictionaries and lists as typed below, read and written by `vidprism.evaluation.results`.
"""

# No `from __future__ import annotations` here: NotRequired is read from the annotations at run time.
from typing import Any, NotRequired, TypedDict

SCHEMA = 1
MEASURED, NOT_RUN = "measured", "not run"
REHEARSED = "rehearsed"  # ran on random weights, so that it has no accuracy
SPACES = {"lr": "learning rate", "c": "inverse penalty c", "prompt_set": "prompt set"}  # what a search tries, in words


class ResultsError(ValueError):
    """A results file is invalid; the message names the file and says what to do."""


class Estimate(TypedDict):
    """An accuracy in percent: the mean over repeats, its 95 % interval over draws and groups of test videos, and the
    intervals over repeats only (None for one repeat) and over groups only. A video without a group counts as a group.
    """

    mean: float
    ci95: list[float]
    n_draws: int  # 1 where all repeats are equal: then the interval is over groups only
    n_groups: int
    ci95_repeats: list[float] | None
    ci95_groups: list[float]


class Repeat(TypedDict):
    """One training of the cell: seed and draw, accuracies in percent over the scored videos, and one answer
    per listed video.
    """

    seed: int
    draw: int | None  # None where the whole training list is used
    top1: float
    top5: float
    correct: str  # per listed test video in manifest order: 1 right, 0 wrong, - unreadable
    correct5: str  # the same for the five best classes
    loss_first: NotRequired[float | None]  # mean objective of the first and the last tenth of the updates
    loss_last: NotRequired[float | None]
    loss_flat: NotRequired[bool | None]  # whether the loss had flattened when training ended
    clips_seen: NotRequired[int]  # distinct training clips
    draw_sha256: NotRequired[str | None]
    failed_videos: NotRequired[list[dict[str, str]]]  # path and reason of training videos that could not be read
    skipped_updates: NotRequired[list[list[str]]]  # the videos of each update whose loss was not finite


class Cell(TypedDict):
    """One number of a table with its repeats: a dataset, and K shots or (None) the whole training list."""

    dataset: str
    shots: int | None
    frames: int
    split: int
    n_clips: int
    n_crops: int
    fusion: str  # of the views of a video; set by the evaluation, not by the training
    n_listed: int  # videos of the official test list
    n_scored: int  # readable ones
    unreadable: list[dict[str, str]]  # path and reason of the unreadable ones
    groups: NotRequired[str | None]  # group number of each listed test video; None: the dataset has no groups
    n_classes: int
    data_fingerprint: str
    updates: int
    batch_size: int
    repeats: list[Repeat]
    top1: Estimate
    top5: Estimate
    parameters: NotRequired[int]  # trained ones
    checks: NotRequired[dict[str, Any]]  # oddities of the lists and of this copy (vidprism.training.inputs.oddities)
    shot_list: NotRequired[dict[str, str] | None]  # file, name and sha256 of an external list of K shots
    start: NotRequired[dict[str, Any]]  # row and sha256 of the weights it started from; `fresh` parameters had none
    descriptions: NotRequired[dict[str, str]]  # file and sha256 of the sentences about classes that the method reads
    views: NotRequired[list[dict[str, Any]]]  # top-1 with fewer views: n_clips, n_crops, top1
    subset: NotRequired[
        dict[str, Any] | None
    ]  # file, sha256, n_listed, n_scored, top1 (an Estimate) of a common subset
    within_pairs: NotRequired[Estimate | None]  # top-1 among a class and its opposite (vidprism.evaluation.opposites)
    expert_usage: NotRequired[list[float] | None]


class Record(TypedDict):
    """One row: its configuration (`config`), the search of its learning rate or of what it has instead (`search`), the
    code and machine that measured it, and its cells.
    """

    schema: int
    profile: str
    group: str
    row: str
    method: str
    label: str
    reading: NotRequired[str | None]
    track: str  # frozen (cached features) or tuned (end to end)
    backbone: dict[str, Any]
    generated: bool
    config: dict[str, Any]
    search: dict[str, Any] | None
    code: dict[str, Any]
    environment: dict[str, Any]
    status: str  # measured; rows that are "not run" or "rehearsed" have `row`, `status`, `reason` and no cells
    reason: NotRequired[str]
    cells: list[Cell]


def check_record(record: Any, where: str) -> None:
    """Check a record against the schema.

    Raises:
        ResultsError: another schema, a missing key, or answers or groups that do not match `n_listed`.
    """
    if not isinstance(record, dict) or not {"row", "status"} <= record.keys():
        raise ResultsError(f"{where}: a record lacks 'row' or 'status'; delete the file and run `dvc repro`")
    if record["status"] in (NOT_RUN, REHEARSED):
        return
    name = f"{where}: record '{record['row']}'"
    if record.get("schema") != SCHEMA:
        raise ResultsError(
            f"{name} has schema {record.get('schema')!r}, this version reads {SCHEMA}; run `dvc repro` again"
        )
    _require(record, Record, name)
    for cell in record["cells"]:
        _require(cell, Cell, f"{name}, a cell")
        at = f"{name}, cell {cell_key(cell['dataset'], cell['shots'])}"
        if cell.get("groups") is not None and len(cell["groups"].split()) != cell["n_listed"]:
            raise ResultsError(f"{at}: n_listed is {cell['n_listed']} but {len(cell['groups'].split())} have a group")
        for repeat in cell["repeats"]:
            _require(repeat, Repeat, f"{at}, a repeat")
            if {len(repeat["correct"]), len(repeat["correct5"])} != {cell["n_listed"]}:
                answered = len(repeat["correct"])
                raise ResultsError(f"{at}: n_listed is {cell['n_listed']} but a repeat answers {answered} videos")


def _require(value: Any, kind: Any, where: str) -> None:
    missing = sorted(kind.__required_keys__ - set(value)) if isinstance(value, dict) else ["everything"]
    if missing:
        raise ResultsError(f"{where} lacks {', '.join(missing)}; run `dvc repro` again")


def cell_key(dataset: str, shots: int | None) -> str:
    """Name of a cell in metrics and table columns: `hmdb51_k4`, or `kinetics400_all` for the whole training
    list.
    """
    return f"{dataset}_{'all' if shots is None else f'k{shots}'}"
