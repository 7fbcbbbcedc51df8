"""External lists of K shots: one training video a line, ``file label``, as several repositories publish them.

Such a list replaces the suite's own draws of one dataset and K. What it names must be what the official list says,
and nothing of it may be tested on: some published lists are drawn from split 1 and share clips with the test lists of
splits 2 and 3.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from vidprism.datasets import DatasetError, Video, last_word, numbered_lines
from vidprism.datasets import _names as names

# First 12 digits of the sha256 of published lists, recognised and named in the reports. These are byte-identical in the
# repositories of ViFi-CLIP, OST, MAXI and TC-CLIP (datasets_splits/{hmdb,ucf,ssv2}_splits/train1_few_shot_<K>.txt).
KNOWN = {
    "3b2e45f40330": "ViFi-CLIP, HMDB-51, 2 shots",
    "76069e2c2319": "ViFi-CLIP, HMDB-51, 4 shots",
    "f585a080fba8": "ViFi-CLIP, HMDB-51, 8 shots",
    "8690fc45649c": "ViFi-CLIP, HMDB-51, 16 shots",
    "99cf59ad302e": "ViFi-CLIP, UCF-101, 2 shots",
    "d6afb0ba27c0": "ViFi-CLIP, UCF-101, 4 shots",
    "44393e332cd8": "ViFi-CLIP, UCF-101, 8 shots",
    "5aadf19c121f": "ViFi-CLIP, UCF-101, 16 shots",
    "2b449a0bfaa8": "ViFi-CLIP, SSv2, 2 shots",
    "de2373343c9e": "ViFi-CLIP, SSv2, 4 shots",
    "71a0407894b7": "ViFi-CLIP, SSv2, 8 shots",
    "ee3f9d1c7b54": "ViFi-CLIP, SSv2, 16 shots",
}
Listed = dict[str, dict[str, Any]]
OtherSplits = Mapping[int, list[Video]]
Index = list[tuple[Callable[[PurePosixPath], object], dict[object, list[Video]]]]

# How a file of a list may be named, the strictest first: the path of the official lists, that path but for the suffix
# (a re-encoded copy), the file's name, that name without suffix and case.
NAMINGS: tuple[Callable[[PurePosixPath], object], ...] = (
    lambda path: path,
    lambda path: path.parent / path.stem,
    lambda path: path.name,
    lambda path: path.stem.casefold(),
)


def read_all(files: Mapping[str, Path], videos: list[Video], others: OtherSplits = MappingProxyType({})) -> Listed:
    """The lists of a dataset by K (as text): `file`, `name` ("" for one that is not known), `sha256` and `videos`, the
    video ids in the list's order.

    Args:
        files: K -> file.
        videos: the official lists of the split in use, training and test.
        others: the same of other splits, by their number.

    Raises:
        DatasetError: a list is missing or is refused (see `read`).
    """
    found: Listed = {}
    for k, path in files.items():
        if not path.is_file():
            raise DatasetError(
                f"protocol.shot_lists names '{path.name}', but '{path}' does not exist; put the list there"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        about = {"file": path.name, "name": KNOWN.get(digest[:12], ""), "sha256": digest}
        found[k] = {**about, "videos": read_shot_list(path, int(k), videos, others)}
    return found


def read_shot_list(path: Path, k: int, videos: list[Video], others: OtherSplits = MappingProxyType({})) -> list[str]:
    """The video ids that a list of `k` shots names. Files are matched by the first of `NAMINGS` that finds any video,
    the last of which is their name without folder, suffix and case: lists name flat folders, re-encoded copies, and
    UCF-101's two spellings of one class.

    Raises:
        DatasetError: a line that is not ``file label``, an unknown or ambiguous file, a test video, another label than
            the official one, a video twice, or a class with more or fewer than `k` videos. A list that belongs to one
            of the `others` is told so.
    """
    entries, index = _entries(path), _index(videos)
    elsewhere = _elsewhere([file for _, file, _ in entries], others)
    chosen: list[Video] = []
    for number, file, label in entries:
        matches = _matches(index, file)
        if len(matches) != 1:
            what = "several videos" if matches else "no video"
            told = "" if matches else names.hint(file.name, [PurePosixPath(v.path).name for v in videos])
            raise DatasetError(f"{path}, line {number}: the official lists have {what} named '{file}'{told}{elsewhere}")
        if matches[0].label != label:
            right = f"{matches[0].label}, {matches[0].class_name}"
            raise DatasetError(
                f"{path}, line {number}: '{file}' has label {label} here and {right} in the official lists, "
                "counted from 0 in the order of the classes; a list with other labels needs its numbers changed"
            )
        chosen.append(matches[0])
    tested = {v.video_id for v in videos if v.split == "test"}
    _refuse(path, k, chosen, tested, {v.class_name for v in videos}, elsewhere)
    return [v.video_id for v in chosen]


def require_training(lists: Listed, training: Collection[str]) -> None:
    """Raise DatasetError if a list names a video that the manifest does not train on: a link to a test video, say."""
    for given in lists.values():
        lost = [video_id for video_id in given["videos"] if video_id not in training]
        if lost:
            raise DatasetError(
                f"{given['file']}: {lost[0]} is no training video of the manifest, because its file is one of a test "
                "video or of another training video (train_test_overlap and same_file of checks.json); take it out of "
                "the list, or replace the link by the right file"
            )


def _entries(path: Path) -> list[tuple[int, PurePosixPath, int]]:
    """Number of the line, file and label of each line."""
    entries = []
    for number, line in numbered_lines(path):
        file, label = last_word(line)
        if not file or not label.isdecimal():
            raise DatasetError(f"{path}, line {number}: {line!r} is not `file label`")
        entries.append((number, PurePosixPath(file), int(label)))
    return entries


def _elsewhere(files: list[PurePosixPath], others: OtherSplits) -> str:
    """The end of an error about a list all of whose files are training videos of another split."""
    fits = []
    for split, videos in others.items():
        index = _index(videos)
        found = [_matches(index, file) for file in files]
        if all(len(one) == 1 and one[0].split == "train" for one in found):
            fits.append(str(split))
    if not fits:
        return ""
    return (
        f". All its videos are training videos of split {' and of split '.join(fits)}: the list was drawn from another "
        "split than the one in use (protocol.split, or the dataset's own in protocol.splits)"
    )


def _refuse(path: Path, k: int, chosen: list[Video], tested: set[str], class_names: set[str], elsewhere: str) -> None:
    """Raise DatasetError if the list overlaps the test list, repeats a video or has not `k` videos of each class."""
    leaked = [v.path for v in chosen if v.video_id in tested]
    if leaked:
        raise DatasetError(
            f"{path}: {len(leaked)} of {len(chosen)} videos are in the test list of this split ({leaked[0]} is the "
            "first); training on them would be leakage. Use the split that the list was drawn from "
            f"(protocol.split, or the dataset's own in protocol.splits){elsewhere}"
        )
    repeated = [video_id for video_id, n in Counter(v.video_id for v in chosen).items() if n > 1]
    if repeated:
        raise DatasetError(f"{path}: '{repeated[0]}' is listed more than once")
    counts = Counter(v.class_name for v in chosen)
    for name in sorted(class_names):
        if counts[name] != k:
            raise DatasetError(f"{path}: class '{name}' has {counts[name]} videos in a list of {k} shots")


def _matches(index: Index, file: PurePosixPath) -> list[Video]:
    """The videos that a file of a list may be, by the strictest naming that finds any."""
    return next(filter(None, (by_name.get(naming(file), []) for naming, by_name in index)), [])


def _index(videos: list[Video]) -> Index:
    """Each of `NAMINGS` with the videos that it tells, a repeated line of the official lists once."""
    distinct = {v.video_id: v for v in videos}.values()
    index: Index = []
    for naming in NAMINGS:
        by_name: dict[object, list[Video]] = {}
        for v in distinct:
            by_name.setdefault(naming(PurePosixPath(v.path)), []).append(v)
        index.append((naming, by_name))
    return index
