"""Write a generated dataset to disk: encoded videos, official lists, and ``world.json`` with what only the
world knows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from vidprism.config import WorldConfig
from vidprism.world import layouts
from vidprism.world.classes import ActionClass, counterparts, told_by_order
from vidprism.world.encode import write_video
from vidprism.world.plan import Clip, classes_of, clips_of, course, look, subject
from vidprism.world.render import render

_MARK = "world.json"


def generate(dataset: str, out: Path, world: WorldConfig) -> dict:
    """Generate one dataset; the same configuration gives the same bytes.

    Args:
        dataset: ucf101, hmdb51, ssv2 or kinetics400.
        out: folder of the dataset; gets ``annotations/``, ``videos/`` and ``world.json``. An earlier
            generated dataset in it is replaced.
        world: seed and sizes.

    Returns:
        The content of ``world.json``.

    Raises:
        KeyError: unknown dataset.
        FileExistsError: `out` holds something that this function did not write.
    """
    out = Path(out)
    layout = layouts.load(dataset) if classes_of(dataset, world) else None
    _clear(out)
    clips = clips_of(dataset, world, layout.EXTRA_PER_CLASS)
    paths = layout.paths(clips, world.seed)
    videos = [layouts.Video(c, p, _words(c, world.seed)) for c, p in zip(clips, paths, strict=True)]
    out.mkdir(parents=True, exist_ok=True)
    about = _about(dataset, world, clips)
    # written first, so that a run that was cut off can be repeated
    (out / _MARK).write_text(json.dumps(about, indent=1) + "\n")
    layout.write_annotations(out / "annotations", videos)
    _write_videos(out / "videos", videos, world)
    return about


def fingerprint(world: WorldConfig) -> str:
    """SHA-256 of the world's definition: the source of this package and the configured values (not the number
    of processes).
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py"), key=lambda f: f.relative_to(folder).as_posix()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(json.dumps({k: v for k, v in asdict(world).items() if k != "processes"}, sort_keys=True).encode())
    return digest.hexdigest()


def tiny(
    out: Path, datasets: tuple[str, ...] = ("ucf101", "hmdb51", "ssv2", "kinetics400"), **changes: int
) -> dict[str, dict]:
    """A handful of videos of each dataset under ``out/<dataset>``, for tests.

    Two classes, with three training and two test videos each.

    `changes` are fields of WorldConfig. Returns the content of each ``world.json``.
    """
    small = WorldConfig(train_per_class=3, test_per_dataset=4, frames_min=32, frames_max=34, classes=2, processes=1)
    return {name: generate(name, Path(out) / name, replace(small, **changes)) for name in datasets}


def _words(clip: Clip, seed: int) -> str:
    category, colour, _ = subject(clip, seed)
    return f"a {colour} {category}"


def _rank(action: ActionClass) -> str:
    """Labels are the alphabetical rank in all four datasets; SSv2 sorts its templates without brackets."""
    return action.name.replace("[", "").replace("]", "")


def _clear(out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / _MARK).is_file() or not json.loads((out / _MARK).read_text()).get("generated"):
        raise FileExistsError(f"{out} holds files that were not generated; move them away or generate somewhere else")
    for name in ("annotations", "videos"):
        shutil.rmtree(out / name, ignore_errors=True)


def _about(dataset: str, world: WorldConfig, clips: list[Clip]) -> dict:
    classes = classes_of(dataset, world)
    return {
        "generated": True,
        "dataset": dataset,
        "world_sha256": fingerprint(world),
        "config": {k: v for k, v in asdict(world).items() if k != "processes"},
        "classes": [{**asdict(c), "label": i} for i, c in enumerate(sorted(classes, key=_rank))],
        "reversal": counterparts(classes, "reversal"),
        "mirror": counterparts(classes, "mirror"),
        "opposite": counterparts(classes, "opposite"),
        "order": sorted(c.name for c in classes if told_by_order(classes, c.name)),
        "n_videos": {split: sum(c.split == split for c in clips) for split in ("train", "test", "extra")},
    }


def _write_videos(folder: Path, videos: list[layouts.Video], world: WorldConfig) -> None:
    """One task per source, whose clips share an instance."""
    tasks = [list(group) for _, group in groupby(videos, key=lambda v: v.clip.source)]
    work = partial(_write_source, folder, world)
    if world.processes <= 1:
        for task in tasks:
            work(task)
        return
    # spawn: a forked child would inherit the threads of whatever the parent has imported
    with ProcessPoolExecutor(world.processes, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(work, tasks, chunksize=8):
            pass


def _write_source(folder: Path, world: WorldConfig, videos: list[layouts.Video]) -> None:
    clip = videos[0].clip
    instance, container = look(clip, world.seed), layouts.load(clip.dataset).CONTAINER
    for video in videos:
        write_video(folder / video.path, render(instance, course(video.clip, world)), container)
