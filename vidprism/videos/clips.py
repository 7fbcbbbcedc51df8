"""Videos to pixels: inspection, temporal sampling, spatial views. `vidprism.videos.decoding` handles the decoders.

A video that cannot be read raises `Unreadable` with a short reason; no other video ever takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidprism.config import nearest
from vidprism.videos.container import check_whole, open_video, rate_hz
from vidprism.videos.decoding import Frames, Unreadable, difference_by_packets, opened, read_frames, way_of
from vidprism.videos.sequential import StartToEnd
from vidprism.videos.ways import START_TO_END

SAMPLINGS = ("segment_center", "segment_start", "segment_random", "dense")
RESIZES = ("bilinear", "bicubic")
# Stride of a dense window in frames: VideoMAE's on Kinetics (16 x 4).
DENSE_STRIDE = 4


@dataclass(frozen=True)
class VideoInfo:
    """The content of a video file, how it is read, and why (see `vidprism.videos.ways`)."""

    n_frames: int
    fps: float
    width_px: int
    height_px: int
    reader: str
    why: str


def inspect_video(path: Path, full: bool = False) -> VideoInfo:
    """Size and length of a video that is complete and decodes from start to end; its frames are the frames shown.

    A video that is read by packets must give the same number of frames, and the same first, middle and last frame;
    otherwise it is read from start to end.

    Args:
        full: compare every frame, also with decord where decord is exact (see `difference_by_packets`).

    Raises:
        Unreadable: the file is missing, empty, not a video, cut off, or damaged.
    """
    with open_video(path) as (file, stream):
        fps = round(rate_hz(stream), 3)
        check_whole(file, stream)
    exact = StartToEnd(path)
    n_frames = len(exact)
    if not n_frames:
        raise Unreadable("no frames")
    height, width = read_frames(exact, np.array([0])).shape[1:3]
    way = way_of(path)
    differs = difference_by_packets(path, exact, full) if way.reader != START_TO_END else ""
    reader, why = (START_TO_END, differs) if differs else (way.reader, way.why)
    return VideoInfo(n_frames, fps, width, height, reader, why)


def frame_indices(
    n_frames: int,
    t: int,
    sampling: str = "segment_center",
    clip: int = 0,
    n_clips: int = 1,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Which T frames of a video one clip sees.

    The video is cut into T equal (fractional) segments of n_frames / T. Clip k of K takes from segment i the
    frame at
    - segment_center: (i + (k + 1/2) / K) n_frames / T, for K = 1 the centre (TSN; mmaction2 SampleFrames in
      test mode);
    - segment_start: i n_frames / T + offset k, offsets evenly from 0 to n_frames / T - 1 (validation of MoTE
      and of VidPrism's release);
    - segment_random: (i + u) n_frames / T with u uniform in [0, 1) per segment (TSN training);
    - dense: a window of T frames `DENSE_STRIDE` apart, windows evenly spaced over the video, for K = 1 in its
      middle; with `rng` each starts anywhere in the video (training); beyond the end the last frame repeats
      (ST-Adapter).
    Positions are rounded down, so a video shorter than T frames repeats its frames evenly and in order.

    Returns:
        int64 (T,), non-decreasing, in [0, n_frames).

    Raises:
        ValueError: unknown sampling, no frames, a clip outside 0 .. n_clips - 1, or segment_random without
        `rng`.
    """
    if sampling not in SAMPLINGS:
        raise ValueError(
            f"unknown sampling '{sampling}' (params.yaml: protocol.sampling); {nearest(sampling, SAMPLINGS)}"
        )
    if n_frames < 1 or t < 1 or not 0 <= clip < n_clips:
        raise ValueError(f"cannot take clip {clip} of {n_clips} with {t} frames from a video of {n_frames}")
    i = np.arange(t)
    if sampling == "segment_center":
        return (2 * n_clips * i + 2 * clip + 1) * n_frames // (2 * n_clips * t)
    if sampling == "segment_random":
        if rng is None:
            raise ValueError("segment_random needs a random generator")
        return np.minimum((i + rng.random(t)) * n_frames / t, n_frames - 1).astype(np.int64)
    if sampling == "segment_start":
        offset = np.linspace(0, max(n_frames / t - 1, 0), n_clips)[clip]
        return np.minimum(i * n_frames / t + offset + 1e-9, n_frames - 1).astype(np.int64)
    return _dense(n_frames, t, clip, n_clips, rng)


def read_clip(path: Path, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """The frames at `indices` (any order, repeats allowed) as uint8 (T, H, W, 3), RGB.

    Raises:
        Unreadable: the file or one of the frames cannot be decoded.
    """
    with opened(Path(path)) as frames:
        return read_frames(frames, np.asarray(indices))


def spatial_views(frames: np.ndarray, size_px: int, n_crops: int = 1, resize: str = "bilinear") -> np.ndarray:
    """Resize the short side to `size_px` with anti-aliasing, then cut square crops along the long side.

    One crop is the centre. Three crops are left, centre and right, or top, centre and bottom of a portrait video, so
    that they differ there too.

    Args:
        frames: uint8 (T, H, W, 3).

    Returns:
        uint8 (n_crops, T, size_px, size_px, 3).

    Raises:
        ValueError: n_crops is not 1 or 3, or the resize filter is unknown.
    """
    if n_crops not in (1, 3):
        raise ValueError(f"n_crops must be 1 or 3, not {n_crops} (params.yaml: protocol.n_crops)")
    frames = short_side(frames, size_px, resize)
    spare_y, spare_x = frames.shape[1] - size_px, frames.shape[2] - size_px
    parts = (0.5,) if n_crops == 1 else (0.0, 0.5, 1.0)
    corners = [(int(part * spare_y), int(part * spare_x)) for part in parts]
    return np.stack([frames[:, y : y + size_px, x : x + size_px] for y, x in corners])


def short_side(frames: np.ndarray, size_px: int, resize: str = "bilinear") -> np.ndarray:
    """Resize frames (T, H, W, 3) uint8 so that their short side is `size_px`, with anti-aliasing.

    Raises:
        ValueError: the resize filter is unknown.
    """
    if resize not in RESIZES:
        raise ValueError(f"unknown resize filter '{resize}' (params.yaml: protocol.resize); {nearest(resize, RESIZES)}")
    height, width = frames.shape[1:3]
    short = min(height, width)
    if short == size_px:
        return frames
    import torch  # imported here: listing and inspecting videos must not import torch

    size = (height * size_px // short, width * size_px // short)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return torch.nn.functional.interpolate(pixels, size, mode=resize, antialias=True).permute(0, 2, 3, 1).numpy()


def read_views(
    source: Path | Frames,
    frame_counts: Sequence[int],
    n_clips: int,
    n_crops: int,
    size_px: int,
    sampling: str = "segment_center",
    resize: str = "bilinear",
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Everything that several frame counts and views need of one video (its file, or its cached frames), from one read
    that decodes each frame once.

    Returns:
        The distinct frames, uint8 (n_crops, U, S, S, 3), and for each T the positions in U that its clips
        take, (n_clips, T).

    Raises:
        Unreadable: the file or one of the frames cannot be decoded.
    """
    with opened(source) as frames:
        indices = {
            t: np.stack([frame_indices(len(frames), t, sampling, clip, n_clips, rng) for clip in range(n_clips)])
            for t in frame_counts
        }
        used = np.unique(np.concatenate([index.ravel() for index in indices.values()]))
        pixels = read_frames(frames, used)
    crops = spatial_views(pixels, size_px, n_crops, resize)
    return crops, {t: np.searchsorted(used, index) for t, index in indices.items()}


def load_views(source: Path | Frames, t: int, n_clips: int, n_crops: int, size_px: int, **choices: Any) -> np.ndarray:
    """The views of one video: view = clip * n_crops + crop; `choices` are sampling, resize and rng of
    `read_views`.

    Returns:
        uint8 (n_clips * n_crops, T, size_px, size_px, 3).

    Raises:
        Unreadable: the file or one of the frames cannot be decoded.
    """
    crops, positions = read_views(source, (t,), n_clips, n_crops, size_px, **choices)
    views = crops[:, positions[t]].swapaxes(0, 1)
    return views.reshape(n_clips * n_crops, *views.shape[2:])


def _dense(n_frames: int, t: int, clip: int, n_clips: int, rng: np.random.Generator | None) -> np.ndarray:
    room = max(n_frames - ((t - 1) * DENSE_STRIDE + 1), 0)
    start = room // 2 if n_clips == 1 else room * clip // (n_clips - 1)
    start = start if rng is None else int(rng.integers(room + 1))
    return np.minimum(start + DENSE_STRIDE * np.arange(t), n_frames - 1)
