"""Your own videos: a CSV list, or one folder per class.

The format is that of this suite. Either ``annotations/videos.csv`` has the columns path (relative to ``videos/``),
label (the class name), split ("train" or "test") and optionally group (videos that must stay together, such as cuts of
one recording); or there is no ``annotations/``, and the videos are ``videos/train/<class>/<file>`` and
``videos/test/<class>/<file>``. The label is the rank of the class name. Classes with "left" or "right" in their name
count as sensitive to a flip if their mirror image is a class too; list other pairs in `FLIP_PAIRS`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from vidprism.datasets import (
    DatasetError,
    Video,
    check_classes,
    check_split,
    checked_path,
    is_visible,
    located,
    numbered_rows,
    require,
)
from vidprism.datasets import _names as names

NAME = "Your dataset"
GROUPED = True
FLIP_PAIRS: tuple[tuple[str, str], ...] = ()
HORIZONTAL_FLIP = True
SPLITS = (1,)
COLUMNS = ("path", "label", "split")
SPLIT_NAMES = ("train", "test")
Entry = tuple[str, str, str, str]  # path, class name, split, group ("" for none)
SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def class_names(root: Path) -> list[str]:
    """Class names in alphabetical order; index = label.

    Raises:
        DatasetError: see `list_videos`.
    """
    return _classes(_entries(root))


def list_videos(root: Path, split: int) -> list[Video]:
    """Every line of the CSV, or every video file in the class folders.

    Raises:
        DatasetError: neither is there, or no video in it; a line lacks a column or a value, or names another split; a
            class folder without a video but with other files; two classes that look the same; a test class that has no
            training video.
    """
    check_split(NAME, split, SPLITS)
    require(root / "videos", NAME, "the videos")
    entries = _entries(root)
    labels = {name: label for label, name in enumerate(_classes(entries))}
    unseen = sorted(set(labels) - {label for _, label, part, _ in entries if part == "train"})
    if unseen:
        raise DatasetError(f"{NAME}: the class '{unseen[0]}' has test videos and no training video")
    stems = Counter(_stem(path) for path in {path for path, *_ in entries})
    videos = []
    for path, label, part, group in entries:
        # two files that differ only in their suffix keep it in their ids
        video_id = _stem(path) if stems[_stem(path)] == 1 else path
        videos.append(Video(video_id, path, labels[label], label, part, group or None))
    return videos


def class_text(class_name: str) -> str:
    """ "Open_Door" -> "open door"."""
    return " ".join(class_name.replace("_", " ").lower().split())


def path_class(path: str) -> str | None:
    """The class folder of a path ``<split>/<class>/<file>``; None in another layout."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) == 3 and parts[0] in SPLIT_NAMES else None


def _stem(path: str) -> str:
    return str(PurePosixPath(path).parent / PurePosixPath(path).stem)


def _classes(entries: list[Entry]) -> list[str]:
    return check_classes(NAME, sorted({label for _, label, _, _ in entries}), class_text)


def _entries(root: Path) -> list[Entry]:
    folders = [root / "videos" / part for part in SPLIT_NAMES]
    if (root / "annotations").exists() or not all(folder.is_dir() for folder in folders):
        what = "a csv with the columns path, label and split (or, without annotations, videos/train and videos/test)"
        return _listed(require(root / "annotations" / "videos.csv", NAME, what))
    found = [
        (f"{folder.name}/{file.parent.name}/{file.name}", file.parent.name.strip(), folder.name, "")
        for folder in folders
        for inside in sorted(folder.iterdir())
        if inside.is_dir() and is_visible(inside.name)
        for file in _videos(inside)
    ]
    if not found:
        raise DatasetError(
            f"{NAME}: no video in the class folders of '{folders[0]}' and '{folders[1]}'; put them into "
            f"<class>/<file> there, as one of {', '.join(SUFFIXES)}, or list them in annotations/videos.csv"
        )
    return found


def _videos(folder: Path) -> list[Path]:
    """The videos of a class folder. Other files beside them are not an error (checks.json counts them)."""
    files = [file for file in sorted(folder.iterdir()) if is_visible(file.name)]
    videos = [file for file in files if file.suffix.lower() in SUFFIXES and not file.is_dir()]
    if files and not videos:
        kinds = Counter("folder" if file.is_dir() else file.suffix or "file without suffix" for file in files)
        holds = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
        raise DatasetError(
            f"{NAME}: the class folder '{folder}' holds no video but {holds}, so the class would be lost; put its "
            f"videos right into it as one of {', '.join(SUFFIXES)}, or remove the folder"
        )
    return videos


def _listed(path: Path) -> list[Entry]:
    rows = numbered_rows(path, NAME, COLUMNS)
    if not rows:
        raise DatasetError(f"{NAME}: '{path}' lists no video; write one a line: {','.join(COLUMNS)}")
    found = []
    for number, row in rows:
        with located(NAME, path, number):
            if row["split"] not in SPLIT_NAMES:
                told = names.hint(row["split"], SPLIT_NAMES)
                raise DatasetError(f"a split must be {' or '.join(SPLIT_NAMES)}, not '{row['split']}'{told}")
            found.append((checked_path(row["path"]), row["label"], row["split"], row.get("group", "")))
    return found
