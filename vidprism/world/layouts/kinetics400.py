"""Kinetics-400's layout: ``{train,val}/<class name>/<youtube id>_<start>_<end>.mp4`` and three csv files.

Format: the csv files of deepmind.com's Kinetics-400 (kept by cvdfoundation/kinetics-dataset): label,
youtube_id, time_start, time_end, split; ids have eleven characters and may begin with a dash; test rows may
lack the label.
"""

from __future__ import annotations

import csv
from pathlib import Path

from vidprism.world.encode import H264_MP4
from vidprism.world.layouts import Video
from vidprism.world.plan import Clip
from vidprism.world.random import stream

CONTAINER = H264_MP4
EXTRA_PER_CLASS = 1
_HEADER = ("label", "youtube_id", "time_start", "time_end", "split")
_FOLDERS = {"train": "train", "test": "val", "extra": "test"}  # the suite tests on the validation list
_FILES = {"train": "train", "test": "validate", "extra": "test"}
_ALPHABET = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def paths(clips: list[Clip], seed: int) -> list[str]:
    """Where each clip lies under ``videos/``; every 40th id begins with a dash."""
    rng = stream(seed, "kinetics400", "ids")
    found = []
    for i, clip in enumerate(clips):
        youtube_id = ("-" if i % 40 == 0 else "") + "".join(rng.choice(_ALPHABET, 11))
        start = int(rng.integers(0, 300))
        folder = _FOLDERS[clip.split] + ("" if clip.split == "extra" else f"/{clip.action.name}")
        found.append(f"{folder}/{youtube_id[:11]}_{start:06d}_{start + 10:06d}.mp4")
    return found


def write_annotations(folder: Path, videos: list[Video]) -> None:
    """Write train.csv, validate.csv and test.csv; the rows of the last have no label."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in _FILES.items():
        rows = sorted(_row(v, name) for v in videos if v.clip.split == split)
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([_HEADER, *rows])


def _row(video: Video, split: str) -> tuple[str, str, int, int, str]:
    stem = Path(video.path).stem
    label = "" if video.clip.split == "extra" else video.clip.action.name
    return (label, stem[:11], int(stem[12:18]), int(stem[19:25]), split)
