"""Your own videos: a csv list, or a folder for each class.

Format of this suite. Either ``annotations/videos.csv`` with the columns path (relative to ``videos/``), label (the
class name), split ("train" or "test") and, if you like, group (videos that must not be torn apart, such as cuts of one
recording); or no ``annotations/`` at all and ``videos/train/<class>/<file>`` and ``videos/test/<class>/<file>``.
Labels are the rank of the class name. Classes with "left" or "right" in their name are found to be sensitive to a flip
where their mirror is a class too; if others are, say so in `FLIP_PAIRS`.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from vidprism.datasets import DatasetError, Video, check_split, require

NAME = "Your dataset"
GROUPED = True
FLIP_PAIRS: tuple[tuple[str, str], ...] = ()
HORIZONTAL_FLIP = True
SPLITS = (1,)
COLUMNS = ("path", "label", "split")
SPLIT_NAMES = ("train", "test")
SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def class_names(root: Path) -> list[str]:
    """Class names in alphabetical order; index = label.

    Raises:
        DatasetError: see `list_videos`.
    """
    return sorted({label for _, label, _, _ in _entries(root)})


def list_videos(root: Path, split: int) -> list[Video]:
    """Every line of the csv, or every video file in the class folders.

    Raises:
        DatasetError: neither is there; a line lacks a column or a value, or names another split; a test class that has
            no training video.
    """
    check_split(NAME, split, SPLITS)
    require(root / "videos", NAME, "the videos")
    entries = _entries(root)
    labels = {name: label for label, name in enumerate(sorted({label for _, label, _, _ in entries}))}
    unseen = sorted(set(labels) - {label for _, label, part, _ in entries if part == "train"})
    if unseen:
        raise DatasetError(f"{NAME}: the class '{unseen[0]}' has test videos and no training video")
    return [
        Video(str(PurePosixPath(path).with_suffix("")), path, labels[label], label, part, group or None)
        for path, label, part, group in entries
    ]


def class_text(class_name: str) -> str:
    """ "Open_Door" -> "open door"."""
    return " ".join(class_name.replace("_", " ").lower().split())


def path_class(path: str) -> str | None:
    """The class folder of a path ``<split>/<class>/<file>``; None in another layout."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) == 3 and parts[0] in SPLIT_NAMES else None


def _entries(root: Path) -> list[tuple[str, str, str, str]]:
    """(path, class name, split, group) of each video."""
    folders = [root / "videos" / part for part in SPLIT_NAMES]
    if (root / "annotations").exists() or not all(folder.is_dir() for folder in folders):
        what = "a csv with the columns path, label and split (or, without annotations, videos/train and videos/test)"
        return _listed(require(root / "annotations" / "videos.csv", NAME, what))
    return [
        (f"{folder.name}/{file.parent.name}/{file.name}", file.parent.name, folder.name, "")
        for folder in folders
        for file in sorted(folder.glob("*/*"))
        if file.suffix.lower() in SUFFIXES
    ]


def _listed(path: Path) -> list[tuple[str, str, str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(f"{NAME}: '{path}' lacks the column {', '.join(missing)}; it has {reader.fieldnames}")
        rows = list(reader)
    for number, row in enumerate(rows, 2):
        if not all(row[column] for column in COLUMNS) or row["split"] not in SPLIT_NAMES:
            raise DatasetError(
                f"{NAME}: line {number} of '{path}' must have a path, a label and a split (train or test), not "
                f"{[row[column] for column in COLUMNS]}"
            )
    return [(row["path"], row["label"], row["split"], row.get("group") or "") for row in rows]
