"""UCF-101's layout: ``<Class>/v_<Class>_gXX_cYY.avi`` and ``ucfTrainTestlist/`` with three splits by group.

Format: UCF101TrainTestSplits-RecognitionTask.zip (crcv.ucf.edu/data/UCF101.php): classInd.txt "1
ApplyEyeMakeup", trainlist "path label" with labels from 1, testlist the path alone.
"""

from __future__ import annotations

from pathlib import Path

from vidprism.world.encode import MPEG4_AVI
from vidprism.world.layouts import Video
from vidprism.world.plan import Clip
from vidprism.world.realpixels import GROUPS_TEST

CONTAINER = MPEG4_AVI
EXTRA_PER_CLASS = 0


def paths(clips: list[Clip], seed: int) -> list[str]:
    """Where each clip lies under ``videos/``."""
    return [f"{c.action.name}/v_{c.action.name}_g{c.group:02d}_c{c.take:02d}.avi" for c in clips]


def write_annotations(folder: Path, videos: list[Video]) -> None:
    """Write ``ucfTrainTestlist/``: the class index and three train and test lists."""
    folder = folder / "ucfTrainTestlist"
    folder.mkdir(parents=True)
    names = sorted({v.clip.action.name for v in videos})
    (folder / "classInd.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(names, 1)))
    videos = sorted(videos, key=lambda v: v.path)
    for split, groups in GROUPS_TEST.items():
        train = [f"{v.path} {names.index(v.clip.action.name) + 1}\n" for v in videos if v.clip.group not in groups]
        test = [f"{v.path}\n" for v in videos if v.clip.group in groups]
        (folder / f"trainlist{split:02d}.txt").write_text("".join(train))
        (folder / f"testlist{split:02d}.txt").write_text("".join(test))
