"""Readers of the official dataset formats: one module per dataset, found by its file name.

A dataset module holds

- ``NAME``: the name shown in tables; ``SPLITS``: its official splits;
- ``GROUPED``: whether videos come in groups (cuts of one recording) that must not be torn apart;
- ``FLIP_PAIRS``: pairs of class names that a horizontal flip swaps; ``HORIZONTAL_FLIP``: is flipping
  harmless;
- ``KNOWN_COPIES`` (optional): name of a copy -> (training, test) counts, None where not known;
- ``replaced(root)`` (optional): names of files that are not read because another file stands in for them;
- ``list_videos(root, split)``: every line of the official lists as a `Video`, duplicates included;
- ``class_names(root)``: the class names, in the order of the labels;
- ``class_text(class_name)``: the class as lower-case words for a prompt;
- ``path_class(path)``: the class name that a video's path tells, None where it tells none.

`root` is the folder with ``annotations/`` (official lists) and ``videos/`` (official tree); see
data/README.md.
"""

from __future__ import annotations

import csv
import importlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from vidprism.config import nearest

SAMPLE = 100  # listed videos that are looked for before any is decoded


class DatasetError(ValueError):
    """A dataset is missing, incomplete or contradicts itself; the message says where and what to do."""


class MissingError(DatasetError):
    """A file or folder of the official layout is not there."""


@dataclass(frozen=True)
class Video:
    """One line of an official list.

    `path` is relative to ``videos/``; `label` counts from 0 and indexes ``class_names``; `split` is "train"
    or "test" (the official validation list where the test labels are not public); `group` names the
    recording, or is None.

    Raises:
        DatasetError: the path is absolute or leaves ``videos/``: lists come from elsewhere and are not trusted.
    """

    video_id: str
    path: str
    label: int
    class_name: str
    split: str
    group: str | None = None

    def __post_init__(self) -> None:
        check_path(self.path)


def check_path(path: str) -> None:
    """Raise DatasetError if a path of a list is absolute or leaves ``videos/``."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise DatasetError(f"the path {path!r} leaves its folder 'videos'")


def available() -> list[str]:
    """Names of the datasets: the files of this folder."""
    return sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_"))


def load(name: str) -> ModuleType:
    """The module of a dataset.

    Raises:
        DatasetError: there is no file of that name.
    """
    if name not in available():
        raise DatasetError(f"no dataset named '{name}' in vidprism/datasets; {nearest(name, available())}")
    return importlib.import_module(f"vidprism.datasets.{name}")


def require(path: Path, name: str, what: str) -> Path:
    """`path`, if it exists.

    Args:
        path: a file or folder of the official layout.
        name: display name of the dataset.
        what: what belongs there, for the message.

    Raises:
        MissingError: nothing is there.
    """
    if not path.exists():
        raise MissingError(f"{name}: '{path}' does not exist; put {what} there (the layout is drawn in data/README.md)")
    return path


def check_placed(root: Path, name: str, videos: Sequence[Video]) -> None:
    """Refuse a tree in which none of a sample of the listed videos lies where its list says: a folder too deep, say.

    Raises:
        DatasetError: names a path that was expected, and a file that is there.
    """
    folder, sample = root / "videos", videos[:: max(1, len(videos) // SAMPLE)]
    if not sample or any(os.path.exists(folder / v.path) for v in sample):
        return
    files = (Path(top, file) for top, _, found in os.walk(folder) for file in sorted(found) if file[0] != ".")
    there = next(files, None)
    raise DatasetError(
        f"{name}: none of {len(sample)} listed videos is where it should be, for example '{folder / sample[0].path}'; "
        + (f"there is '{there}'. Move" if there else "there is no file below that folder. Put")
        + " the videos so that the listed paths begin in 'videos' (the layout is drawn in data/README.md)"
    )


def read_text(path: Path) -> str:
    """The text of a list.

    Raises:
        DatasetError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"'{path}' is not UTF-8 text (byte {error.start}); fetch it again or save it so") from error


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text list without surrounding blanks, each with its number; empty lines are left out.

    Raises:
        DatasetError: it is not UTF-8.
    """
    stripped = ((number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1))
    return [(number, line) for number, line in stripped if line]


def numbered_rows(path: Path, name: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a csv list with a heading, each with the number of its (last) line.

    Args:
        path: the list.
        name: display name of the dataset.
        columns: what every row must have a value for.

    Raises:
        DatasetError: it is not UTF-8 or no csv, or a column or a value is missing; names the line.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{name}: '{path}', line {reader.line_num}: no csv ({error}); fetch it again") from error
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise DatasetError(
            f"{name}: '{path}' lacks the column {', '.join(missing)}; its first line must name {', '.join(columns)}"
        )
    for number, row in rows:
        empty = [column for column in columns if not row[column]]
        if empty:
            raise DatasetError(
                f"{name}: '{path}', line {number}: no {' and no '.join(empty)}; the line is cut off or wrong, every "
                f"video needs {', '.join(columns)}"
            )
    return rows


@contextmanager
def located(name: str, path: Path, number: int, unit: str = "line") -> Iterator[None]:
    """Says in a DatasetError which line (or entry) of which list of a dataset it is about."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"{name}: '{path}', {unit} {number}: {error}") from error


def check_split(name: str, split: int, splits: tuple[int, ...]) -> None:
    """Raise DatasetError unless `split` is one of the official `splits`."""
    if split not in splits:
        raise DatasetError(
            f"{name} has no split {split} (protocol.split, or its own in protocol.splits); official splits: "
            f"{', '.join(map(str, splits))}"
        )
