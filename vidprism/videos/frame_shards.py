"""The files of the frame cache: a shard with the frames of some videos as JPEG, and a table (CSV) of their places.

A shard holds one video after another. After the frames of a video come the positions (int64, little-endian) where they
start and where the last one ends. A shard is written to a temporary file and moved into place when it is complete, then
its table.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from vidprism.config import ConfigError
from vidprism.videos import clips, decoding

SHORT_SIDE_PX = 256
# Chroma at half the resolution, like the videos; docs/speed.md gives the cost of the quality.
JPEG: dict[str, Any] = {"format": "JPEG", "quality": 95, "subsampling": "4:2:0"}
VERSION = "2"  # version of these choices and of the reader; shards of another version are rewritten


class ShardEntry(NamedTuple):
    """One line of a table: a video, the size in bytes and modification time in ns of its file (-1 if it was missing),
    where the shard holds its positions, and why it could not be read ("" if it could).
    """

    version: str
    path: str
    size: int
    mtime_ns: int
    at: int
    n_frames: int
    reason: str


class CachedFrames:
    """The frames of one video in a shard (see `vidprism.videos.decoding.Frames`)."""

    def __init__(self, shard: Path, entry: ShardEntry) -> None:
        self._shard, self._entry = shard, entry

    def __len__(self) -> int:
        return self._entry.n_frames

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB, short side at most `SHORT_SIDE_PX`; one seek and one JPEG a frame.

        Raises:
            ConfigError: the shard is damaged.
        """
        # FFmpeg's decoder: it upsamples chroma like the video decoder and is faster than PIL
        decoder, convert, frames = av.CodecContext.create("mjpeg", "r"), VideoReformatter(), []
        decoder.thread_count = 1
        try:
            with self._shard.open("rb") as file:
                file.seek(self._entry.at)
                positions = np.frombuffer(file.read(8 * (len(self) + 1)), "<i8")
                for start, end in zip(positions[indices].tolist(), positions[indices + 1].tolist(), strict=True):
                    file.seek(start)
                    (frame,) = decoder.decode(av.Packet(file.read(end - start)))
                    frames.append(convert.reformat(frame, format="rgb24", threads=1).to_ndarray())
            return np.stack(frames)
        except (av.FFmpegError, OSError, ValueError, IndexError) as error:
            raise ConfigError(
                f"'{self._shard}' is damaged or missing at '{self._entry.path}' ({type(error).__name__}); delete it "
                "and build the cache again"
            ) from error


def write_shard(shard: Path, videos: Path, listed: list[str]) -> None:
    """Write frames and table of the videos `listed` below `videos`, unless both exist and the files have not
    changed.
    """
    if shard.is_file():
        known = [entry[:4] for entry in read_shard_table(shard)]
        if known == [(VERSION, path, *state(videos / path)) for path in listed]:
            return
    table = shard.with_suffix(".csv")
    table.unlink(missing_ok=True)
    partial_shard, partial_table = (file.with_suffix(f"{file.suffix}.partial") for file in (shard, table))
    with partial_shard.open("wb") as file:
        entries = [_append(file, videos, path) for path in listed]
    with partial_table.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, lineterminator="\n").writerows([ShardEntry._fields, *entries])
    partial_shard.replace(shard)
    partial_table.replace(table)


def read_shard_table(shard: Path) -> list[ShardEntry]:
    """The entries of a shard; empty if the shard is incomplete."""
    table = shard.with_suffix(".csv")
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return [ShardEntry(row[0], row[1], int(row[2]), int(row[3]), int(row[4]), int(row[5]), row[6]) for row in rows]


def state(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in ns of a file, (-1, -1) if it does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _append(file: BinaryIO, videos: Path, path: str) -> ShardEntry:
    """Add a video's frames and their positions; a video that cannot be read to its end leaves nothing behind."""
    begin, of_file, positions = file.tell(), state(videos / path), []
    try:
        for frames in decoding.all_frames(videos / path):
            if min(frames.shape[1:3]) > SHORT_SIDE_PX:  # small videos stay as they are: enlarging adds no detail
                frames = clips.short_side(frames, SHORT_SIDE_PX)
            for frame in frames:
                positions.append(file.tell())
                Image.fromarray(frame).save(content := io.BytesIO(), **JPEG)
                file.write(content.getbuffer())
    except decoding.Unreadable as error:
        file.seek(begin)
        file.truncate()
        return ShardEntry(VERSION, path, *of_file, 0, 0, error.reason)
    at = file.tell()
    file.write(np.array([*positions, at], "<i8").tobytes())
    return ShardEntry(VERSION, path, *of_file, at, len(positions), "")
