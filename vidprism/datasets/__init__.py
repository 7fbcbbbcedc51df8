"""Readers of the official dataset formats: one module per dataset, found by its file name.

A dataset module holds

- ``NAME``: the name shown in tables; ``SPLITS``: its official splits;
- ``GROUPED``: whether videos come in groups (cuts of one recording) that must not be torn apart;
- ``FLIP_PAIRS``: pairs of class names that a horizontal flip swaps; ``HORIZONTAL_FLIP``: is flipping
  harmless;
- ``KNOWN_COPIES`` (optional): name of a copy -> (training, test) counts, None where not known;
- ``list_videos(root, split)``: every line of the official lists as a `Video`, duplicates included;
- ``class_names(root)``: the class names, in the order of the labels;
- ``class_text(class_name)``: the class as lower-case words for a prompt;
- ``path_class(path)``: the class name that a video's path tells, None where it tells none.

`root` is the folder with ``annotations/`` (official lists) and ``videos/`` (official tree); see
data/README.md.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from vidprism.config import nearest


class DatasetError(ValueError):
    """A dataset is missing, incomplete or contradicts itself; the message says where and what to do."""


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
        if self.path.startswith("/") or ".." in self.path.split("/") or "\0" in self.path:
            raise DatasetError(f"a list of the dataset has the path {self.path!r}, which leaves its folder 'videos'")


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
        DatasetError: nothing is there.
    """
    if not path.exists():
        raise DatasetError(f"{name}: '{path}' does not exist; put {what} there (the layout is drawn in data/README.md)")
    return path


def read_lines(path: Path) -> list[str]:
    """The lines of a text list without surrounding blanks; empty lines are left out."""
    stripped = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    return [line for line in stripped if line]


def check_split(name: str, split: int, splits: tuple[int, ...]) -> None:
    """Raise DatasetError unless `split` is one of the official `splits`."""
    if split not in splits:
        raise DatasetError(
            f"{name} has no split {split} (protocol.split); official splits: {', '.join(map(str, splits))}"
        )
