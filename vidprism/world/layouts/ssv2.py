"""Something-Something V2's layout: ``<id>.webm`` (12 fps) and four JSON files.

Format: 20bn-something-something-v2 (developer.qualcomm.com/software/ai-datasets/something-something): train
and validation are lists of {"id", "label", "template", "placeholders"}; the template has brackets, the keys
of the label file have none; the test file has ids alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from vidprism.world.encode import VP9_WEBM
from vidprism.world.layouts import Video
from vidprism.world.plan import Clip
from vidprism.world.random import stream

CONTAINER = VP9_WEBM
EXTRA_PER_CLASS = 1
_FILES = {"train": "train", "test": "validation", "extra": "test"}  # the suite tests on the validation list


def paths(clips: list[Clip], seed: int) -> list[str]:
    """Where each clip lies under ``videos/``: numbers that tell nothing about the class."""
    return [f"{number}.webm" for number in stream(seed, "ssv2", "ids").permutation(len(clips)) + 1]


def write_annotations(folder: Path, videos: list[Video]) -> None:
    """Write the train, validation, test and label files."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = sorted(videos, key=lambda v: int(Path(v.path).stem))
    for split, name in _FILES.items():
        entry = _unlabelled if split == "extra" else _labelled
        _dump(folder, name, [entry(v) for v in videos if v.clip.split == split])
    templates = sorted({_plain(v.clip.action.name) for v in videos})
    _dump(folder, "labels", {template: str(i) for i, template in enumerate(templates)})


def _dump(folder: Path, name: str, content: object) -> None:
    (folder / f"something-something-v2-{name}.json").write_text(json.dumps(content, indent=0) + "\n")


def _plain(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _labelled(video: Video) -> dict:
    template = video.clip.action.name
    label = template.replace("[something]", video.subject).lower()
    return {**_unlabelled(video), "label": label, "template": template, "placeholders": [video.subject]}


def _unlabelled(video: Video) -> dict:
    return {"id": Path(video.path).stem}
