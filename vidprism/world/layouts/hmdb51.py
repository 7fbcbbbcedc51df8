"""HMDB-51's layout: ``<class>/<name>.avi`` and ``testTrainMulti_7030_splits/<class>_test_split{1,2,3}.txt``.

Format: test_train_splits.rar (serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database): lines
"name.avi code " with a blank before the line's end; code 0 unused, 1 train, 2 test. Film titles hold
characters that shells and globs read.
"""

from __future__ import annotations

from pathlib import Path

from vidprism.world.encode import MPEG4_AVI
from vidprism.world.layouts import Video
from vidprism.world.plan import Clip
from vidprism.world.realpixels import GROUP_EXTRA, GROUPS_TEST

CONTAINER = MPEG4_AVI
EXTRA_PER_CLASS = 1
_FILMS = (
    "Plain_Sight", "#7_Days_of_Squares", "Rings_&_Other_Things", "The_Star_(Restored)", "Don't_Blink",
    "Go!_Go!_Go!", "[Untitled]", "Left;_Then_Right", "Long_Way_Round", "#1_Fan_of_Circles", "Black_&_White",
    "Crossing_(Part_2)", "It's_a_Moon", "Stop!", "[Director's_Cut]_Hearts", "Now;_Or_Later", "Slow_Turn",
    "#42", "Salt_&_Stripes", "Dots_(Behind_the_Scenes)", "Who's_There", "Wait!_What", "[1080]_Squares",
    "Up;_Down;_Up", "Home_Video", "Leftovers",
)  # fmt: skip


def paths(clips: list[Clip], seed: int) -> list[str]:
    """Where each clip lies under ``videos/``: film, class, and the attribute letters that HMDB-51 puts into
    its names.
    """
    return [f"{c.action.name}/{_film(c.group)}_{c.action.name}_f_nm_np1_fr_goo_{c.take - 1}.avi" for c in clips]


def _film(group: int) -> str:
    sequel, film = divmod(group - 1, len(_FILMS))
    return f"{_FILMS[film]}_{sequel + 1}" if sequel else _FILMS[film]


def write_annotations(folder: Path, videos: list[Video]) -> None:
    """Write one list per class and split; every video is in each, with its code."""
    folder = folder / "testTrainMulti_7030_splits"
    folder.mkdir(parents=True)
    for name in sorted({v.clip.action.name for v in videos}):
        own = sorted((v for v in videos if v.clip.action.name == name), key=lambda v: v.path)
        for split, groups in GROUPS_TEST.items():
            lines = [f"{Path(v.path).name} {_code(v.clip.group, groups)} \n" for v in own]
            (folder / f"{name}_test_split{split}.txt").write_text("".join(lines))


def _code(group: int, test_groups: range) -> int:
    return 0 if group == GROUP_EXTRA else 2 if group in test_groups else 1
