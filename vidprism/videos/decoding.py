"""Read the frames of a video file: from start to end, or by packets where `vidprism.videos.ways` shows that this gives
the same frames with less work. The errors of decoders are translated here. All decoders run in one thread.

decord only gives a second opinion (`difference_by_packets`), in the process that compares: a reader of decord opened in
a parent process kills a forked worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from vidprism.videos import ways
from vidprism.videos.container import Rgb, Unreadable, check_file, open_video
from vidprism.videos.partial_decoding import PacketReader
from vidprism.videos.sequential import StartToEnd, decoded
from vidprism.videos.ways import Way

FRAMES_AT_ONCE = 32  # frames read at once from a whole video
STRIDE = 16  # distance of frames compared in one reading, so that a reader has to seek

Digest = tuple[tuple[int, ...], bytes]  # shape and hash of a picture


class Frames(Protocol):
    """The frames of a video, from an opened file or from a cache."""

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB, at `indices` (T,), which are distinct and rising."""


class DecordReader:
    """`Frames` of a file by decord. decord is imported only here: reading frames for results does not need it."""

    def __init__(self, path: Path) -> None:
        import decord

        self._reader = decord.VideoReader(str(path), num_threads=1)

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """See `Frames`."""
        return self._reader.get_batch(indices).asnumpy()


def decode_errors() -> tuple[type[Exception], ...]:
    """All errors that the decoders raise on a bad file; DECORDError and FFmpegError are not RuntimeErrors."""
    found = (RuntimeError, av.FFmpegError, IndexError, AssertionError)
    decord = sys.modules.get("decord")
    return (*found, decord.DECORDError) if decord else found


def open_decord(path: Path) -> DecordReader:
    """Open a file with decord.

    Raises:
        Unreadable: the file is missing, empty, or cannot be opened by decord.
    """
    check_file(path)
    try:
        reader = DecordReader(path)
    except decode_errors() as error:
        raise Unreadable(f"not a video that decord can open ({type(error).__name__})") from error
    if len(reader) == 0:
        raise Unreadable("no frames")
    return reader


def way_of(path: Path) -> Way:
    """How a file is read, and why. It depends on the file, never on an error while reading.

    Raises:
        Unreadable: see `vidprism.videos.container.open_video`.
    """
    with open_video(path) as (file, stream):
        return ways.choose(file, stream)


@contextlib.contextmanager
def opened(source: Path | Frames) -> Iterator[Frames]:
    """Frames to read clips from: those of a file, or frames that are already open.

    Raises:
        Unreadable: the file is missing, empty, or cannot be opened by its decoder.
    """
    if not isinstance(source, Path):
        yield source
        return
    with open_video(source) as (file, stream):
        way = ways.choose(file, stream)
        if way.reader == ways.PACKETS:
            yield PacketReader(source, stream.codec_context, way.packets, way.is_reference)
            return
    yield StartToEnd(source)


def read_frames(frames: Frames, indices: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 at `indices` (any order, repeats allowed); each distinct one is decoded once, in order.

    Raises:
        Unreadable: one of them cannot be decoded.
    """
    used, inverse = np.unique(indices, return_inverse=True)
    try:
        pixels = frames.read(used)
    except decode_errors() as error:
        raise Unreadable(
            f"frames {used[0]} to {used[-1]} of {len(frames)} cannot all be decoded ({type(error).__name__})"
        ) from error
    return pixels if np.array_equal(used, indices) else pixels[inverse]


def all_frames(path: Path) -> Iterator[np.ndarray]:
    """Every frame of a file from start to end, `FRAMES_AT_ONCE` at a time, (T, H, W, 3) uint8, RGB.

    Raises:
        Unreadable: the file cannot be opened, or does not decode to its end.
    """
    frames, to_rgb = decoded(path), None
    while part := list(islice(frames, FRAMES_AT_ONCE)):
        to_rgb = to_rgb or Rgb(part[0].width, part[0].height)
        yield np.stack([to_rgb(frame) for frame in part])


def difference_by_packets(path: Path, exact: StartToEnd, full: bool) -> str:
    """How reading a file by packets differs from decoding it from start to end, in words, or "". The number of frames
    and the first, middle and last frame are compared.

    Args:
        exact: the same file, read from start to end.
        full: compare every frame, once in order and once with seeks in between, and with decord as well, where decord
            reads such files correctly.

    Raises:
        Unreadable: it does not decode from start to end.
    """
    numbers = np.arange(len(exact))
    if full:
        right = dict(enumerate(_digest(pixels) for frames in all_frames(path) for pixels in frames))
        in_order = np.split(numbers, numbers[FRAMES_AT_ONCE::FRAMES_AT_ONCE])
        requests = [*in_order, *(numbers[first::STRIDE] for first in range(min(STRIDE, len(numbers))))]
    else:
        requests = [ends_and_middle(len(numbers))]
        right = {
            i: _digest(pixels) for i, pixels in zip(requests[0].tolist(), read_frames(exact, requests[0]), strict=True)
        }
    with opened(path) as frames:
        found = _unequal(frames, len(numbers), right, requests)
    if found:
        return f"{ways.PACKETS} gives {found}"
    with open_video(path) as (_, stream):
        has_second = full and ways.suits_decord(stream)
    try:
        found = _unequal(open_decord(path), len(numbers), right, requests) if has_second else ""
    except Unreadable as error:
        found = error.reason
    return f"decord gives {found}" if found else ""


def ends_and_middle(n_frames: int) -> np.ndarray:
    """Numbers of the first, the middle and the last frame."""
    return np.unique([0, n_frames // 2, n_frames - 1])


def _unequal(frames: Frames, n_frames: int, right: dict[int, Digest], requests: list[np.ndarray]) -> str:
    """The first difference between frames and the digests of the correct ones, "" if there is none."""
    if len(frames) != n_frames:
        return f"{len(frames)} frames instead of {n_frames}"
    for indices in requests:
        try:
            pixels = read_frames(frames, indices)
        except Unreadable as error:
            return error.reason
        for i, picture in zip(indices.tolist(), pixels, strict=True):
            if _digest(picture) != right[i]:
                return f"another frame {i}"
    return ""


def _digest(pixels: np.ndarray) -> Digest:
    return pixels.shape, hashlib.sha256(np.ascontiguousarray(pixels).data).digest()
