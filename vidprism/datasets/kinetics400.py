"""Kinetics-400: ten-second mp4 cuts of web videos, 400 actions, the validation list as test set.

Source of the format: the official csv files (https://github.com/cvdfoundation/kinetics-dataset) with the columns label,
youtube_id, time_start, time_end, split and, in some copies, is_cc. Files are named ``<id>_<start:06d>_<end:06d>.mp4``
(ids may begin with a dash) and lie in ``{train,val}/<class name>/``, with blanks or underscores depending on the copy,
or directly in ``{train,val}/``. Label = alphabetical rank of the class name. Every copy lacks some videos: they become
rows with a reason. The CVDF copy has intact versions of some damaged clips in a separate folder: a clip of that name
under ``replacement/`` is read instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vidprism.datasets import (
    DatasetError,
    Video,
    check_classes,
    check_split,
    is_visible,
    located,
    numbered_rows,
    one_of,
    require,
)
from vidprism.datasets import _names as names

NAME = "Kinetics-400"
GROUPED = False
FLIP_PAIRS: tuple[tuple[str, str], ...] = ()
HORIZONTAL_FLIP = True
SPLITS = (1,)
FOLDERS = {"train": "train", "test": "val"}
# The official name of the validation list and the one of the CVDF copy.
LISTS = {"train": ("train.csv",), "test": ("validate.csv", "val.csv")}
# Counts of (training, validation) videos in copies reported by papers and repositories; None: not reported.
# Sources: cvdfoundation/kinetics-dataset; the lists of MoTE, ViFi-CLIP, VidPrism and ActionCLIP; the READMEs of
# mmaction2, VideoMAEv2, TDN and MemDPC; issues 197 and 255 of facebookresearch/SlowFast.
KNOWN_COPIES: dict[str, tuple[int | None, int | None]] = {
    "every video of the official lists": (246_534, 19_906),
    "CVDF": (None, 19_881),
    "lists of MoTE, ViFi-CLIP and VidPrism": (241_181, 19_877),
    "mmaction2, VideoMAEv2": (240_436, 19_796),
    "SlowFast, non-local networks": (234_643, 19_761),
    "TDN": (234_619, 19_760),
    "MemDPC": (232_422, 19_141),
    "ActionCLIP": (None, 19_357),
}
COLUMNS = ("label", "youtube_id", "time_start", "time_end")


def class_names(root: Path) -> list[str]:
    """Labels of the training list in alphabetical order; index = label.

    Raises:
        DatasetError: the list is missing, has other columns, or a row lacks a value; or two classes look the same.
    """
    labels = {row["label"] for _, row in numbered_rows(_list(root, "train"), NAME, COLUMNS)}
    return check_classes(NAME, sorted(labels), class_text)


def list_videos(root: Path, split: int) -> list[Video]:
    """Every line of the training list and of the validation list (as "test").

    Raises:
        DatasetError: a list or a video folder is missing, or a validation label never occurs in training.
    """
    check_split(NAME, split, SPLITS)
    labels = {name: label for label, name in enumerate(class_names(root))}
    videos, replacement = [], _replacements(root)
    for split_name in ("train", "test"):
        folders, file = _folders(root, split_name, labels), _list(root, split_name)
        for number, row in numbered_rows(file, NAME, COLUMNS):
            with located(NAME, file, number):
                name, clip = row["label"], _clip(row)
                if name not in labels:
                    told = names.hint(name, labels)
                    raise DatasetError(
                        f"the class {name!r} of the validation list is one that train.csv does not have{told}"
                    )
                path = replacement.get(clip) or _path(root, folders[name], clip)
                videos.append(Video(clip, path, labels[name], name, split_name))
    return videos


def class_text(class_name: str) -> str:
    """ "playing_drums" -> "playing drums"."""
    return class_name.replace("_", " ").lower()


def path_class(path: str) -> str | None:
    """The class folder of a path, with blanks instead of underscores; None in a flat layout."""
    parts = PurePosixPath(path).parts
    return parts[1].replace("_", " ") if len(parts) == 3 and parts[0] in FOLDERS.values() else None


def replaced(root: Path) -> set[str]:
    """Names of the damaged clips that have an intact replacement."""
    return {f"{clip}.mp4" for clip in _replacements(root)}


def _replacements(root: Path) -> dict[str, str]:
    """Clip -> path of the intact version in the CVDF copy."""
    videos = root / "videos"
    files = [file for file in (videos / "replacement").rglob("*.mp4") if is_visible(file.name)]
    return {file.stem: file.relative_to(videos).as_posix() for file in files}


def _folders(root: Path, split: str, classes: Iterable[str]) -> dict[str, list[str]]:
    """Class name -> its folders relative to ``videos/``, as spelled in this copy. A class may exist in both spellings.
    Folders that are not classes (thumbnails, checkpoints of an editor) are ignored.
    """
    folder = FOLDERS[split]
    base = require(root / "videos" / folder, NAME, "the class folders with the .mp4 files")
    with os.scandir(base) as entries:
        is_folder = {entry.name: entry.is_dir() for entry in entries if is_visible(entry.name)}
    spellings = {name: (name, name.replace(" ", "_")) for name in classes}
    present = {name: [s for s in dict.fromkeys(both) if is_folder.get(s)] for name, both in spellings.items()}
    if not any(present.values()) and any(name.endswith(".mp4") for name in is_folder):
        return {name: [folder] for name in spellings}
    return {name: [f"{folder}/{spelled}" for spelled in found or [name]] for name, found in present.items()}


def _path(root: Path, folders: list[str], clip: str) -> str:
    """Where a clip is or would be; the disk is only checked for a class in two spellings."""
    paths = [f"{folder}/{clip}.mp4" for folder in folders]
    return paths[0] if len(paths) == 1 else next((p for p in paths if os.path.exists(root / "videos" / p)), paths[0])


def _list(root: Path, split: str) -> Path:
    return one_of(root / "annotations", LISTS[split], NAME, "the official csv file of that name")


def _clip(row: dict[str, str]) -> str:
    return f"{row['youtube_id']}_{_seconds(row, 'time_start'):06d}_{_seconds(row, 'time_end'):06d}"


def _seconds(row: dict[str, str], column: str) -> int:
    try:
        return int(row[column])
    except ValueError as error:
        raise DatasetError(
            f"{column} of the clip {row['youtube_id']} must be whole seconds, not '{row[column]}'"
        ) from error
