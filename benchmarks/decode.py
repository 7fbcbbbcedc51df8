"""Reading a clip: 32 frames of a 10 s video at 320x240, decoded, resized and cropped to 224 px, by one worker.

The plain way is a reader indexed frame by frame, a PIL resize and crop for each, and a stack. The others are one
batched read by decord, the suite's way from the video, and the suite's way from the frame cache. All run in turn, round
after round, so that other work on the machine slows all of them; their pixels are compared with the plain ones.
decord works in threads of its own, which an idle core hides from the clock: the time of all cores is what a worker
beside others pays.

Then what exactness costs: 8 and 32 frames of a 180-frame video, read and nothing else, by decord, from start to end
with counting, and the way that the suite takes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import decord
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from vidprism.videos import clips, decoding, frame_shards
from vidprism.videos.sequential import StartToEnd

SECONDS, FPS, SIZE_PX, FRAMES, CROP_PX = 10, 25, (320, 240), 32, 224
CLOSED = "log-level=none:keyint=12:open-gop=0"
XVID = {"b": "1000000", "bf": "2"}  # UCF-101's kind: MPEG-4 with B-frames
SHORT = {
    "XviD.avi": {"key_every": 250, "codec": "mpeg4", "options": XVID},
    "H.264.mp4": {"key_every": 250},
    "H.264, key frame every 12.mp4": {"key_every": 12},
    "HEVC, key frame every 12.mp4": {"key_every": 12, "codec": "libx265", "options": {"x265-params": CLOSED}},
}


def run(rounds: int = 9) -> dict[str, str]:
    """Milliseconds a clip by the clock and of all cores (the least of `rounds` each), how many times
    as fast as the plain way, and how far the pixels differ.
    """
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for key_every in (12, 250):
            path = write(Path(folder) / f"{key_every}.mp4", key_every)
            cached, bytes_per_frame = cache(path)
            ways = {
                "plain": lambda path=path: plain(path),
                "decord, one batch": lambda path=path: ours(decoding.open_decord(path)),
                "ours": lambda path=path: ours(path),
                "ours, frame cache": lambda cached=cached: ours(cached),
                "decoding all frames, nothing else": lambda path=path: decode_everything(path),
            }
            times_ms, pixels = _fastest(ways, rounds)
            for name, (clock_ms, cores_ms) in times_ms.items():
                plain_clock_ms, plain_cores_ms = times_ms["plain"]
                told = f"{clock_ms:.0f} ms, {plain_clock_ms / clock_ms:.2f} x; "
                told += f"of all cores {cores_ms:.0f} ms, {plain_cores_ms / cores_ms:.2f} x"
                if isinstance(pixels[name], np.ndarray) and name != "plain":
                    told += f"; pixels differ by {_gap(pixels['plain'], pixels[name])}"
                found[f"key frame every {key_every}: {name}"] = told
            found[f"key frame every {key_every}: cached frame"] = f"{bytes_per_frame:.0f} bytes"
        for name, choices in SHORT.items():
            path = write(Path(folder) / name, n_frames=180, **choices)
            for t in (8, 32):
                found |= exactness(path, clips.frame_indices(180, t), rounds)
    return found


def exactness(path: Path, indices: np.ndarray, rounds: int) -> dict[str, str]:
    """Least milliseconds by the clock and of all cores of reading the frames at `indices`, and how many times decord's
    that is. decord's answer may be wrong.
    """
    ways = {
        "decord": lambda: decoding.open_decord(path).read(indices),
        "start to end": lambda: counted(StartToEnd(path), indices),
        f"ours ({decoding.way_of(path).reader})": lambda: opened(path, indices),
    }
    times_ms, _ = _fastest(ways, rounds)
    decord_clock_ms, decord_cores_ms = times_ms["decord"]
    return {
        f"{path.name}, {len(indices)} frames: {name}": f"{clock_ms:.1f} ms, {clock_ms / decord_clock_ms:.2f} x; of all "
        f"cores {cores_ms:.1f} ms, {cores_ms / decord_cores_ms:.2f} x"
        for name, (clock_ms, cores_ms) in times_ms.items()
    }


def counted(frames: clips.Frames, indices: np.ndarray) -> np.ndarray:
    """The number of frames, then some of them: the reads of a clip."""
    return frames.read(indices[indices < len(frames)])


def opened(path: Path, indices: np.ndarray) -> np.ndarray:
    """The same for a file, read its way."""
    with decoding.opened(path) as frames:
        return counted(frames, indices)


def write(
    path: Path, key_every: int, codec: str = "libx264", n_frames: int = SECONDS * FPS, options: dict | None = None
) -> Path:
    """A pan over a photograph that turns brighter and darker; as H.264 with x264's defaults, unless told otherwise."""
    picture = load_sample_image("china.jpg")
    width, height = SIZE_PX
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=FPS, options={"g": str(key_every), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(n_frames):
            x, y = int(150 + 140 * np.sin(i / 23)), int(90 + 80 * np.cos(i / 31))
            shade = 0.8 + 0.2 * np.sin(i / 7)
            frame = (picture[y : y + height, x : x + width] * shade).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def plain(path: Path) -> np.ndarray:
    """Frame by frame."""
    reader = decord.VideoReader(str(path), num_threads=1)
    frames = []
    for index in clips.frame_indices(len(reader), FRAMES):
        picture = Image.fromarray(reader[index].asnumpy())
        scale = CROP_PX / min(picture.size)
        size = [int(side * scale) for side in picture.size]
        left, top = (int((side - CROP_PX) / 2) for side in size)
        resized = picture.resize(size, Image.Resampling.BILINEAR)
        frames.append(np.asarray(resized.crop((left, top, left + CROP_PX, top + CROP_PX))))
    return np.stack(frames)


def ours(source: Path | clips.Frames) -> np.ndarray:
    """The suite's way, from a file or from opened or cached frames."""
    return clips.load_views(source, FRAMES, 1, 1, CROP_PX)[0]


def cache(path: Path) -> tuple[frame_shards.CachedFrames, float]:
    """The cached frames of a video, and their mean size in bytes."""
    shard = path.with_suffix(".jpegs")
    frame_shards.write_shard(shard, path.parent, [path.name])
    (entry,) = frame_shards.read_shard_table(shard)
    return frame_shards.CachedFrames(shard, entry), shard.stat().st_size / entry.n_frames


def decode_everything(path: Path) -> int:
    """The cost of decoding only: every frame, without further processing."""
    with av.open(str(path)) as file:
        file.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in file.decode(video=0))


def _fastest(
    ways: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, tuple[float, float]], dict[str, object]]:
    """Least milliseconds by the clock and of all cores, and the result, of each way."""
    clock_ms, cores_ms, results = {name: [] for name in ways}, {name: [] for name in ways}, {}
    for _ in range(rounds):
        for name, call in ways.items():
            start_sec, start_cores_sec = time.perf_counter(), time.process_time()
            results[name] = call()
            cores_ms[name].append(1000 * (time.process_time() - start_cores_sec))
            clock_ms[name].append(1000 * (time.perf_counter() - start_sec))
    return {name: (min(clock_ms[name]), min(cores_ms[name])) for name in ways}, results


def _gap(a: np.ndarray, b: np.ndarray) -> str:
    gap = np.abs(a.astype(int) - b)
    return f"{gap.mean():.2f} of 255, 99th percentile {np.percentile(gap, 99):.0f}, most {gap.max()}"
