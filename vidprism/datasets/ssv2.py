"""Something-Something V2: webm clips, 174 templates, the validation list as test set.

Source of the format: the dataset's own json files, ``something-something-v2-{labels,train,validation,test}.json`` and,
in newer packages, ``{labels,train,validation,test}.json``. ``train`` and ``validation`` are lists of {"id", "label",
"template", "placeholders"}; ``template`` marks the objects as "[something]", while the keys of ``labels`` (template ->
"0".."173") have no brackets. ``test`` has ids only and is not read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidprism.datasets import DatasetError, Video, check_classes, check_split, located, one_of, read_text, require
from vidprism.datasets import _names as names

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
        DatasetError: the file is missing, exists twice or has another form, its ids are not 0, 1, ..., or two templates
            look the same.
    """
    path, entries = _read(root, "labels", dict)
    labels = []
    for number, (name, label) in enumerate(entries.items(), start=1):
        if not str(label).isdecimal():
            raise DatasetError(f"{NAME}: '{path}', entry {number}: the id of '{name}' must be a number, not {label!r}")
        labels.append((int(label), name.strip()))
    if sorted(label for label, _ in labels) != list(range(len(labels))):
        raise DatasetError(f"{NAME}: the ids of '{path}' must be 0 to {len(labels) - 1}, each once")
    return check_classes(NAME, [name for _, name in sorted(labels)], class_text)


def list_videos(root: Path, split: int) -> list[Video]:
    """Every entry of the training list and of the validation list (as "test").

    Raises:
        DatasetError: a list or the video folder is missing, an entry is of another form, or a template has no label.
    """
    check_split(NAME, split, SPLITS)
    labels = {name: label for label, name in enumerate(class_names(root))}
    require(root / "videos", NAME, "the .webm files of the unpacked archive")
    videos = []
    for split_name, list_name in LISTS.items():
        path, entries = _read(root, list_name, list)
        for number, entry in enumerate(entries, start=1):
            with located(NAME, path, number, unit="entry"):
                videos.append(_video(entry, labels, split_name))
    return videos


def class_text(class_name: str) -> str:
    """ "Pushing something" -> "pushing something"."""
    return class_name.lower()


def path_class(path: str) -> str | None:
    """None: the files are named only by number."""
    return None


def _read(root: Path, which: str, kind: type) -> tuple[Path, Any]:
    """Find and parse an official file whose content must be a `kind`."""
    either = (f"something-something-v2-{which}.json", f"{which}.json")
    path = one_of(root / "annotations", either, NAME, "the official json file of that name")
    try:
        content = json.loads(read_text(path), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{NAME}: '{path}' is not valid json ({error}); unpack it again") from error
    except DatasetError as error:
        raise DatasetError(f"{NAME}: '{path}': {error}") from error
    if not isinstance(content, kind):
        found = type(content).__name__
        raise DatasetError(f"{NAME}: '{path}' must hold a {kind.__name__}, not a {found}; take the official file")
    return path, content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict. Python would silently keep the last value of a repeated key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DatasetError(f"the key {twice!r} is given twice; unpack the official file again")
    return found


def _video(entry: Any, labels: dict[str, int], split: str) -> Video:
    number, template = (entry.get(key) for key in ("id", "template")) if isinstance(entry, dict) else (None, None)
    if not isinstance(number, (str, int)) or not isinstance(template, str):
        raise DatasetError(f"an entry must have an 'id' and a 'template', not {json.dumps(entry)[:100]}")
    name = template.replace("[", "").replace("]", "").strip()
    if name not in labels:
        told = names.hint(name, labels)
        raise DatasetError(
            f"the {split} video {number} has the template {name!r}, which the labels file does not have{told}"
        )
    return Video(str(number), f"{number}.webm", labels[name], name, split)
