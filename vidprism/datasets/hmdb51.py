"""HMDB-51: avi clips from films and the web, 51 actions, three splits of 70 + 30 clips per class.

Source of the format: the archive ``test_train_splits.rar``
(https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/). One file per class and split,
``<class>_test_split<S>.txt``, with lines "<file>.avi <code> " where 0 = unused, 1 = train, 2 = test. There is
no class list: classes are the sorted class names. Sorting the list *files* instead swaps kick with kick_ball
and sword with sword_exercise, because "_ball" sorts before "_test". File names contain characters such as # ; &
[ ] ! ' ( ).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vidprism.datasets import (
    DatasetError,
    Video,
    check_classes,
    check_split,
    checked_path,
    is_visible,
    last_word,
    located,
    numbered_lines,
    require,
)

NAME = "HMDB-51"
GROUPED = True
FLIP_PAIRS: tuple[tuple[str, str], ...] = ()
HORIZONTAL_FLIP = True
SPLITS = (1, 2, 3)
CODES = {"0": None, "1": "train", "2": "test"}
# After the class, a file name ends in six fields: body part, camera motion, people, view, quality, cut number.
NAME_FIELDS = 6


def class_names(root: Path) -> list[str]:
    """Sorted class names (not sorted file names) of the split lists; index = label.

    Raises:
        DatasetError: the folder of the lists is missing or has none, or two classes look the same.
    """
    suffix = "_test_split1.txt"
    files = [f.name for f in _lists(root).glob(f"*{suffix}") if is_visible(f.name)]
    if not files:
        raise DatasetError(f"{NAME}: '{_lists(root)}' has no file <class>{suffix}; unpack test_train_splits.rar there")
    return check_classes(NAME, sorted(name.removesuffix(suffix) for name in files), class_text)


def list_videos(root: Path, split: int) -> list[Video]:
    """Every line with code 1 (train) or 2 (test) of the lists of one split, class by class.

    Raises:
        DatasetError: a list or the video folder is missing, or a line has another code.
    """
    check_split(NAME, split, SPLITS)
    require(root / "videos", NAME, "the class folders of hmdb51_org.rar")
    videos = []
    for label, name in enumerate(class_names(root)):
        file = require(_lists(root) / f"{name}_test_split{split}.txt", NAME, "the official list of that name")
        for number, line in numbered_lines(file):
            clip, code = last_word(line)
            with located(NAME, file, number):
                if code not in CODES or not clip:
                    raise DatasetError(f"lines must be '<file>.avi <0, 1 or 2>', not {line!r}")
                if part := CODES[code]:
                    videos.append(_video(checked_path(clip), label, name, part))
    return videos


def class_text(class_name: str) -> str:
    """ "kick_ball" -> "kick ball"."""
    return class_name.replace("_", " ").lower()


def path_class(path: str) -> str | None:
    """The class folder of a path."""
    return PurePosixPath(path).parts[0]


def _lists(root: Path) -> Path:
    return require(root / "annotations" / "testTrainMulti_7030_splits", NAME, "the lists of test_train_splits.rar")


def _video(clip: str, label: int, name: str, split: str) -> Video:
    stem = clip.removesuffix(".avi")
    before_fields = stem.rsplit("_", NAME_FIELDS)[0]
    source = before_fields.removesuffix(f"_{name}")
    return Video(
        video_id=f"{name}/{stem}",
        path=f"{name}/{clip}",
        label=label,
        class_name=name,
        split=split,
        group=f"{name}/{source}" if source != before_fields else None,
    )
