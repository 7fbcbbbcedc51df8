"""Which decoder opens a video file, and what its failures mean: decord, or `vidprism.selective`, which gives the same
frames from less work where a file allows it.

A reader is opened where it is used (one opened in a parent process kills a forked worker) with one thread.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Protocol

import av
import numpy as np

from vidprism import selective

FRAMES_AT_ONCE = 32  # of a video that is read as a whole
# The FFmpeg within decord makes tables of MPEG-4 when the first such file is opened. Threads that open one at the same
# time abort the process in a few of a thousand cases: "Assertion ret >= 0 failed at libavcodec/bitstream.c".
_opening = Lock()


class Unreadable(Exception):
    """A video file that cannot be decoded; `reason` is short and free of paths, so that it can go into a
    report.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Frames(Protocol):
    """A video's frames: those of an opened file, or of a cache."""

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB, at `indices` (T,), which are distinct and rising."""


class DecordReader:
    """`Frames` of any file, by decord."""

    def __init__(self, path: Path) -> None:
        import decord  # only here: files that `vidprism.selective` reads need no decord

        self._reader = decord.VideoReader(str(path), num_threads=1)

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """See `Frames`."""
        return self._reader.get_batch(indices).asnumpy()

    def get_avg_fps(self) -> float:
        """Frames a second."""
        return float(self._reader.get_avg_fps())


def decode_errors() -> tuple[type[Exception], ...]:
    """Everything the decoders raise on a bad file; DECORDError and FFmpegError are no RuntimeError."""
    found = (RuntimeError, av.FFmpegError, IndexError, AssertionError)
    decord = sys.modules.get("decord")
    return (*found, decord.DECORDError) if decord else found


def open_decord(path: Path) -> DecordReader:
    """decord's reader of a file.

    Raises:
        Unreadable: the file is missing, empty, or nothing that decord opens.
    """
    _check_file(path)
    try:
        with _opening:
            reader = DecordReader(path)
    except decode_errors() as error:
        raise Unreadable(f"not a video that decord can open ({type(error).__name__})") from error
    if len(reader) == 0:
        raise Unreadable("no frames")
    return reader


@contextlib.contextmanager
def opened(source: Path | Frames) -> Iterator[Frames]:
    """Frames to read clips from: which decoder gives a file's follows from the file, never from an error.

    Raises:
        Unreadable: the file is missing, empty, or nothing that its decoder opens.
    """
    if not isinstance(source, Path):
        yield source
        return
    _check_file(source)
    with contextlib.ExitStack() as stack:
        try:
            reader = stack.enter_context(selective.open_file(source))
        except av.FFmpegError as error:
            raise Unreadable(f"not a video that FFmpeg can open and begin ({type(error).__name__})") from error
        yield open_decord(source) if reader is None else reader


def read(frames: Frames, indices: np.ndarray) -> np.ndarray:
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
    """Every frame of a file in order, `FRAMES_AT_ONCE` at a time, (T, H, W, 3) uint8, RGB.

    Raises:
        Unreadable: the file or one of the frames cannot be decoded.
    """
    reader = open_decord(path)  # which goes on where it stopped
    for start in range(0, len(reader), FRAMES_AT_ONCE):
        yield read(reader, np.arange(start, min(start + FRAMES_AT_ONCE, len(reader))))


def declared_frames(path: Path) -> int:
    """Frames by the container's header (count, else duration times rate), 0 where it has neither. decord
    cannot tell.

    Raises:
        Unreadable: there is no header.
    """
    try:
        with av.open(str(path), metadata_errors="replace") as file:
            stream = file.streams.video[0]
            if stream.frames or not file.duration or not stream.average_rate:
                return stream.frames
            return int(file.duration / av.time_base * stream.average_rate)
    except (av.FFmpegError, IndexError) as error:
        raise Unreadable(f"header cannot be read ({type(error).__name__})") from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise Unreadable("missing file")
    if path.stat().st_size == 0:
        raise Unreadable("empty file (0 bytes)")
