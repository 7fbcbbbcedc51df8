"""Reading a clip: 32 frames of a 10 s video at 320x240, decoded, resized and cropped to 224 px, by one worker.

The plain way is a reader indexed frame by frame, a PIL resize and crop for each, and a stack. Both ways must see the
same pixels; the differences are printed with the times.
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

from vidprism import video

SECONDS, FPS, SIZE_PX, FRAMES, CROP_PX = 10, 25, (320, 240), 32, 224


def run(repeats: int = 7) -> dict[str, str]:
    """Milliseconds a clip (the fastest of `repeats`), their ratio, and how far the pixels differ."""
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for key_every in (12, 250):
            path = write(Path(folder) / f"{key_every}.mp4", key_every)
            plain_ms, plain_pixels = _fastest(lambda path=path: plain(path), repeats)
            ours_ms, ours_pixels = _fastest(lambda path=path: ours(path), repeats)
            all_ms, _ = _fastest(lambda path=path: decode_everything(path), repeats)
            name = f"a key frame every {key_every}"
            found[f"{name}: plain, ours, ratio"] = f"{plain_ms:.0f} ms, {ours_ms:.0f} ms, {plain_ms / ours_ms:.2f} x"
            found[f"{name}: decoding all frames alone"] = f"{all_ms:.0f} ms"
            gap = np.abs(plain_pixels.astype(int) - ours_pixels)
            found[f"{name}: pixels differ by"] = (
                f"{gap.mean():.2f} of 255, 99th percentile {np.percentile(gap, 99):.0f}, most {gap.max()}"
            )
    return found


def write(path: Path, key_every: int) -> Path:
    """A pan over a photograph that turns brighter and darker, as H.264 with x264's defaults."""
    picture = load_sample_image("china.jpg")
    width, height = SIZE_PX
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"g": str(key_every)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(SECONDS * FPS):
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
    for index in video.frame_indices(len(reader), FRAMES):
        picture = Image.fromarray(reader[index].asnumpy())
        scale = CROP_PX / min(picture.size)
        size = [int(side * scale) for side in picture.size]
        left, top = (int((side - CROP_PX) / 2) for side in size)
        resized = picture.resize(size, Image.Resampling.BILINEAR)
        frames.append(np.asarray(resized.crop((left, top, left + CROP_PX, top + CROP_PX))))
    return np.stack(frames)


def ours(path: Path) -> np.ndarray:
    """The suite's way."""
    return video.load_views(path, FRAMES, 1, 1, CROP_PX)[0]


def decode_everything(path: Path) -> int:
    """What decoding alone costs: every frame, nothing done with it."""
    with av.open(str(path)) as file:
        file.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in file.decode(video=0))


def _fastest(call: Callable[[], object], repeats: int) -> tuple[float, object]:
    times = []
    for _ in range(repeats):
        start_sec = time.perf_counter()
        result = call()
        times.append(1000 * (time.perf_counter() - start_sec))
    return min(times), result
