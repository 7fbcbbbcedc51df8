"""UCF-101: avi clips, 101 actions, three official splits by group of 4 to 7 cuts of one recording.

Source of the format: the archive ``UCF101TrainTestSplits-RecognitionTask.zip``
(https://www.crcv.ucf.edu/data/UCF101.php). ``classInd.txt`` counts classes from 1; ``trainlist0S.txt`` has
"<Class>/<file> <number>", ``testlist0S.txt`` only the path. The folder ``HandstandPushups`` holds files
named ``v_HandStandPushups_*``: paths are taken from the lists, never built.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from vidprism.datasets import (
    DatasetError,
    Video,
    check_classes,
    check_split,
    checked_path,
    last_word,
    located,
    numbered_lines,
    require,
)
from vidprism.datasets import _names as names

NAME = "UCF-101"
GROUPED = True
FLIP_PAIRS: tuple[tuple[str, str], ...] = ()
HORIZONTAL_FLIP = True
SPLITS = (1, 2, 3)


def class_names(root: Path) -> list[str]:
    """Class names of ``classInd.txt``; label = its number - 1.

    Raises:
        DatasetError: the file is missing, its numbers are not 1, 2, ... in any order, or two classes look the same.
    """
    path = _list(root, "classInd.txt")
    try:
        numbered = sorted((int(n), name) for n, name in (line.split(maxsplit=1) for _, line in numbered_lines(path)))
    except ValueError as error:
        raise DatasetError(f"{NAME}: '{path}' must have lines such as '1 ApplyEyeMakeup' ({error})") from error
    if [number for number, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise DatasetError(f"{NAME}: the class numbers of '{path}' must be 1 to {len(numbered)}, each once")
    return check_classes(NAME, [name for _, name in numbered], class_text)


def list_videos(root: Path, split: int) -> list[Video]:
    """Every line of ``trainlist0<split>.txt`` and ``testlist0<split>.txt``.

    Raises:
        DatasetError: a list or the video folder is missing, or a line names an unknown class.
    """
    check_split(NAME, split, SPLITS)
    known = class_names(root)
    require(root / "videos", NAME, "the class folders of UCF101.rar")
    videos = []
    for name, parse in (("train", _with_number), ("test", _alone)):
        file = _list(root, f"{name}list0{split}.txt")
        for number, line in numbered_lines(file):
            with located(NAME, file, number):
                videos.append(_video(known, name, *parse(line)))
    return videos


def class_text(class_name: str) -> str:
    """ "ApplyEyeMakeup" -> "apply eye makeup"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", class_name).replace("_", " ").lower()


def path_class(path: str) -> str:
    """The class folder of a path."""
    return PurePosixPath(path).parts[0]


def _list(root: Path, name: str) -> Path:
    folder = require(
        root / "annotations" / "ucfTrainTestlist",
        NAME,
        "the lists of UCF101TrainTestSplits-RecognitionTask.zip",
    )
    return require(folder / name, NAME, "the official list of that name")


def _with_number(line: str) -> tuple[str, int]:
    """Path and 1-based class number of a line of a training list."""
    path, number = last_word(line)
    if not path or not number.isdecimal():
        raise DatasetError(f"training lists must have lines such as 'Archery/v_Archery_g08_c01.avi 3', not {line!r}")
    return checked_path(path), int(number)


def _alone(line: str) -> tuple[str, None]:
    """The path on a line of a test list; its class folder gives the class."""
    if last_word(line)[1].isdecimal():
        raise DatasetError(f"test lists must have lines such as 'Archery/v_Archery_g08_c01.avi', not {line!r}")
    return checked_path(line), None


def _video(class_names: list[str], split: str, path: str, number: int | None) -> Video:
    name = path_class(path)
    label = number - 1 if number is not None else class_names.index(name) if name in class_names else -1
    if not 0 <= label < len(class_names):
        told = names.hint(name, class_names) if number is None else ""
        raise DatasetError(f"'{path}' has a class that classInd.txt does not have{told}")
    group = re.search(r"_(g\d+)_c\d+$", PurePosixPath(path).stem)
    return Video(
        video_id=str(PurePosixPath(path).with_suffix("")),
        path=path,
        label=label,
        class_name=class_names[label],
        split=split,
        group=f"{name}/{group[1]}" if group else None,
    )
