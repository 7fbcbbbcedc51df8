"""Something-Something V2: webm clips, 174 templates, the validation list as test set.

Source of the format: the dataset's own json files. ``something-something-v2-{train,validation}.json`` are
lists of {"id", "label", "template", "placeholders"}; ``template`` marks the objects as "[something]", while
the keys of ``something-something-v2-labels.json`` (template -> "0".."173") have no brackets. ``-test.json``
has ids only and is not read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidprism.datasets import DatasetError, Video, check_split, require

NAME = "Something-Something V2"
GROUPED = False
# Labels 86/87, 93/94 and 166/167.
FLIP_PAIRS = (
    ("Pulling something from left to right", "Pulling something from right to left"),
    ("Pushing something from left to right", "Pushing something from right to left"),
    ("Turning the camera left while filming something", "Turning the camera right while filming something"),
)
HORIZONTAL_FLIP = False
SPLITS = (1,)
LISTS = {"train": "train", "test": "validation"}


def class_names(root: Path) -> list[str]:
    """Templates without brackets in the order of their ids in the labels file.

    Raises:
        DatasetError: the file is missing, or its ids are not 0, 1, ...
    """
    labels = {name: int(number) for name, number in _read(root, "labels").items()}
    if sorted(labels.values()) != list(range(len(labels))):
        raise DatasetError(
            f"{NAME}: the ids of something-something-v2-labels.json must be 0 to {len(labels) - 1}, each once"
        )
    return sorted(labels, key=labels.__getitem__)


def list_videos(root: Path, split: int) -> list[Video]:
    """Every entry of the training list and of the validation list (as "test").

    Raises:
        DatasetError: a list or the video folder is missing, or a template has no label.
    """
    check_split(NAME, split, SPLITS)
    labels = {name: label for label, name in enumerate(class_names(root))}
    require(root / "videos", NAME, "the .webm files of the unpacked archive")
    return [
        _video(entry, labels, split_name) for split_name, list_name in LISTS.items() for entry in _read(root, list_name)
    ]


def class_text(class_name: str) -> str:
    """ "Pushing something" -> "pushing something"."""
    return class_name.lower()


def path_class(path: str) -> str | None:
    """None: the files are named by number alone."""
    return None


def _read(root: Path, which: str) -> Any:
    path = root / "annotations" / f"something-something-v2-{which}.json"
    require(path, NAME, "the official json file of that name")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DatasetError(f"{NAME}: '{path}' is not valid json ({error}); unpack it again") from error


def _video(entry: dict[str, Any], labels: dict[str, int], split: str) -> Video:
    name = entry["template"].replace("[", "").replace("]", "")
    if name not in labels:
        raise DatasetError(
            f"{NAME}: the {split} video {entry['id']} has the template '{name}', which "
            "something-something-v2-labels.json does not have"
        )
    return Video(
        video_id=str(entry["id"]),
        path=f"{entry['id']}.webm",
        label=labels[name],
        class_name=name,
        split=split,
    )
