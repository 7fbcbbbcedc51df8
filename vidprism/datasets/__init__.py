"""Readers of the official dataset formats: one module per dataset, found by its file name.

A dataset module holds

- ``NAME``: the name shown in tables; ``SPLITS``: its official splits;
- ``GROUPED``: whether videos come in groups (cuts of one recording) that must not be split;
- ``FLIP_PAIRS``: pairs of class names that a horizontal flip swaps; ``HORIZONTAL_FLIP``: whether
  flipping is harmless;
- ``KNOWN_COPIES`` (optional): name of a copy -> (training, test) counts, None where not known;
- ``replaced(root)`` (optional): names of files that are not read because another file replaces them;
- ``list_videos(root, split)``: every line of the official lists as a `Video`, duplicates included;
- ``class_names(root)``: the class names, in the order of the labels, as `check_classes` returns them;
- ``class_text(class_name)``: the class as lower-case words for a prompt;
- ``path_class(path)``: the class name in a video's path, or None.

`root` is the folder with ``annotations/`` (official lists) and ``videos/`` (official tree); see
data/README.md.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from vidprism.config import nearest
from vidprism.datasets import _names as names
from vidprism.datasets._lists import (
    DatasetError,
    MissingError,
    check_classes,
    last_word,
    located,
    numbered_lines,
    numbered_rows,
    one_of,
    read_text,
    require,
)

__all__ = [
    "DatasetError",
    "MissingError",
    "Video",
    "available",
    "beside",
    "check_classes",
    "check_placed",
    "check_split",
    "checked_path",
    "is_visible",
    "last_word",
    "load",
    "located",
    "numbered_lines",
    "numbered_rows",
    "one_of",
    "read_text",
    "require",
]

SAMPLE = 100  # listed videos that are looked up before any is decoded


@dataclass(frozen=True)
class Video:
    """One line of an official list.

    `path` is relative to ``videos/``, in its one spelling (`names.tidy_path`); `label` counts from 0 and indexes
    ``class_names``; `split` is "train" or "test" (the official validation list where the test labels are not public);
    `group` names the recording, or is None.

    Raises:
        DatasetError: the path is absolute or leaves ``videos/``, or is that folder itself: lists come from elsewhere
            and are not trusted.
    """

    video_id: str
    path: str
    label: int
    class_name: str
    split: str
    group: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", checked_path(self.path))


def checked_path(path: str) -> str:
    """A path of a list in its normal spelling; an empty path stays empty.

    Raises:
        DatasetError: it is absolute, leaves ``videos/`` or is that folder itself.
    """
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise DatasetError(f"the path {path!r} leaves its folder 'videos'")
    tidy = names.tidy_path(path) if path else ""
    if tidy == ".":
        raise DatasetError(f"the path {path!r} names no file")
    return tidy


def is_visible(name: str) -> bool:
    """Whether a file or folder counts. Names that begin with a dot do not, such as the ``._x`` files that macOS creates
    on foreign disks.
    """
    return not name.startswith(".")


def available() -> list[str]:
    """Names of the datasets: the files of this folder."""
    return sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_"))


def load_dataset(name: str) -> ModuleType:
    """The module of a dataset.

    Raises:
        DatasetError: there is no file of that name.
    """
    if name not in available():
        raise DatasetError(f"no dataset named '{name}' in vidprism/datasets; {nearest(name, available())}")
    return importlib.import_module(f"vidprism.datasets.{name}")


def beside(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Missing paths below `folder`, each with a hint if something with a similar-looking name exists ("" otherwise),
    see `names.hint`.
    """
    listed: dict[Path, dict[str, str]] = {}
    found = {}
    for path in paths:
        here, found[path] = folder, ""
        for part in PurePosixPath(path).parts:
            if not os.path.lexists(here / part):
                if here not in listed:
                    listed[here] = {names.skeleton(name): name for name in (os.listdir(here) if here.is_dir() else ())}
                twin = listed[here].get(names.skeleton(part))
                found[path] = names.hint(part, [twin] if twin else ())
                break
            here /= part
    return found


def check_placed(root: Path, name: str, videos: Sequence[Video]) -> None:
    """Refuse a tree in which none of a sample of the listed videos is where the list says, for example a folder too
    deep.

    Raises:
        DatasetError: none was found; names an expected path, and a file that exists.
    """
    folder, sample = root / "videos", videos[:: max(1, len(videos) // SAMPLE)]
    if not sample or any(os.path.exists(folder / v.path) for v in sample):
        return
    files = (Path(top, file) for top, _, found in os.walk(folder) for file in sorted(found) if is_visible(file))
    there = next(files, None)
    raise DatasetError(
        f"{name}: none of {len(sample)} listed videos is where it should be, for example '{folder / sample[0].path}'"
        f"{beside(folder, [sample[0].path])[sample[0].path]}; "
        + (f"there is '{there}'. Move" if there else "there is no file below that folder. Put")
        + " the videos so that the listed paths begin in 'videos' (the layout is drawn in data/README.md)"
    )


def check_split(name: str, split: int, splits: tuple[int, ...]) -> None:
    """Raise DatasetError unless `split` is one of the official `splits`."""
    if split not in splits:
        raise DatasetError(
            f"{name} has no split {split} (protocol.split, or its own in protocol.splits); official splits: "
            f"{', '.join(map(str, splits))}"
        )
