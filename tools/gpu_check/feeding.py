"""Training fed by real decoding on all cores: how long the GPU waits, for videos and for the frame cache.

The videos are generated: pans over a blurred picture with noise, H.264 with a key frame every 12 frames, 320 x 240.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.utils.data import Dataset

from tools.gpu_check import models, speed
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size, Tower
from vidprism.finetuning import loop
from vidprism.finetuning.inputs import Reading
from vidprism.training.recipe import Tuning
from vidprism.videos import frame_shards
from vidprism.videos.clips import Frames, load_views
from vidprism.world.encode import H264_MP4, write_video

GOP, WIDTH, HEIGHT = "12", 320, 240
WARM, MEASURED = 3, 10  # updates before the measurement, in which the workers start
MOST_WAIT = 0.10  # largest share of waiting, with the frame cache
FRAMES = (8, 32)


class Videos(Dataset):
    """Training clips of T frames from files, or from cached frames."""

    def __init__(self, sources: list[Path | Frames], frames: int, size_px: int, n_classes: int) -> None:
        self.sources, self.shape, self.n_classes = sources, (frames, size_px, size_px, 3), n_classes

    def __len__(self) -> int:
        return len(self.sources)

    def name(self, number: int) -> str:
        """The name of a clip in errors."""
        return f"video {number % len(self)}"

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        i, (frames, size_px, *_) = number % len(self), self.shape
        clip = load_views(self.sources[i], frames, 1, 1, size_px, rng=np.random.default_rng(number))[0]
        return torch.from_numpy(clip), i % self.n_classes


def decoding_beside(lines: Lines, size: Size) -> None:
    """Train the first backbone at each clip length, fed from videos and from the cache."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        took = speed.seconds(lambda: _write(root, size, cores))
        lines.measured(f"{size.videos} videos of {size.video_frames} frames made", took, "s")
        sources = {"videos": sorted(root.glob("*.mp4")), "the cache of frames": _cached(root, cores)}
        for frames in FRAMES if size is models.FULL else FRAMES[:1]:
            tower = replace(size.fast[0], frames=frames)
            batch_size = max(2, size.most_frames // frames // 4)
            alone = speed.updates(size, tower, batch_size).seconds(size.updates)
            for name, of_kind in sources.items():
                what = f"{tower.name}, {frames} frames from {name}, {cores} workers"
                with lines.guarded(what):
                    fed = _fed(of_kind, size, tower, batch_size, cores)
                    note = f"{batch_size} clips an update"
                    lines.measured(f"{what}: training", batch_size / fed, "clips/s", note)
                    waiting = max(0.0, 1 - alone / fed)
                    said = f"{what}: share of the time in which the GPU waits"
                    if name == "videos":
                        lines.measured(said, waiting, note=note)
                    else:
                        lines.low_goal(said, waiting, MOST_WAIT, note=note)


def _fed(sources: list, size: Size, tower: Tower, batch_size: int, cores: int) -> float:
    """Seconds per update of a training that reads its clips."""
    AcceleratorState._reset_state()
    side = models.noise(tower, 1, size.n_classes).shape[1]
    clips = Videos(sources, tower.frames, side, size.n_classes)
    model = models.build(tower, speed.METHOD, size.n_classes)
    with _timed() as ends:
        recipe = models.recipe(batch_size, WARM + MEASURED, Tuning())
        loop.fit(model, clips, recipe, batch_size, 0, tower.name, Reading(cores, 60.0, 0.0))
    return (ends[-1] - ends[WARM - 1]) / MEASURED


@contextmanager
def _timed() -> Iterator[list[float]]:
    """The time at which each update of a training inside the block ended."""
    ends: list[float] = []
    update = loop._Loop._update

    def timed(self: loop._Loop, *batch: Tensor) -> None:
        update(self, *batch)
        if len(ends) in (
            WARM - 1,
            WARM + MEASURED - 1,
        ):  # between updates, nothing waits that does not wait in a training
            speed.wait()
        ends.append(time.perf_counter())

    with mock.patch.object(loop._Loop, "_update", timed):
        yield ends


def _write(root: Path, size: Size, cores: int) -> None:
    container = replace(H264_MP4, options={**H264_MP4.options, "g": GOP})
    with ThreadPoolExecutor(cores) as pool:
        for done in [pool.submit(_write_one, root, i, size.video_frames, container) for i in range(size.videos)]:
            done.result()


def _write_one(root: Path, i: int, n_frames: int, container: object) -> None:
    rng = np.random.default_rng(i)
    coarse = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8 * 2, 3)).astype(np.uint8)
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1)
    noise = rng.integers(0, 24, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    starts = np.linspace(0, WIDTH, n_frames).astype(int)
    frames = np.stack([picture[:, x : x + WIDTH] // 2 + noise for x in starts])
    write_video(root / f"{i:03d}.mp4", frames, container)


def _cached(root: Path, cores: int) -> list[frame_shards.CachedFrames]:
    """The cache of every video, one shard each."""
    names = sorted(path.name for path in root.glob("*.mp4"))
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda name: frame_shards.write_shard(root / f"{name}.jpegs", root, [name]), names))
    tables = {name: frame_shards.read_shard_table(root / f"{name}.jpegs") for name in names}
    return [frame_shards.CachedFrames(root / f"{name}.jpegs", entry) for name, (entry,) in tables.items()]
