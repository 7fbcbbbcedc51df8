"""A video file as FFmpeg opens it: why it cannot be read, whether it is complete, and its pictures as RGB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

# A file must hold this share of the packets, or of the duration, that its header declares. In old avi files a harmless
# frame or two is missing.
COMPLETE = 0.9
# First bytes of files that are downloaded instead of a video.
IMPOSTORS = {
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"version https://git-lfs": "a Git LFS pointer; `git lfs pull` fetches the file",
}
# FFmpeg's demuxers of single pictures, besides those with names ending in "_pipe".
PICTURES = ("image2", "ico")
MP4, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"


class Unreadable(Exception):
    """A video file that cannot be decoded; `reason` is short and free of paths, so that it can go into a
    report.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and the stream to read: the first stream of moving pictures (a cover picture is not one).

    Raises:
        Unreadable: the file is missing, empty, not a video, or in a codec that this FFmpeg does not decode.
    """
    check_file(path)
    try:
        file = av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as error:
        raise Unreadable(f"not a video that FFmpeg can open ({type(error).__name__})") from error
    with file:
        yield file, _moving_pictures(file)


def check_file(path: Path) -> None:
    """Check a file without a decoder.

    Raises:
        Unreadable: it is missing, empty, or one of the `IMPOSTORS`.
    """
    if not path.is_file():
        raise Unreadable("missing file")
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        raise Unreadable("empty file (0 bytes)")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, name in IMPOSTORS.items():
        if start.startswith(beginning):
            raise Unreadable(f"not a video but {name}")


def _moving_pictures(file: InputContainer) -> VideoStream:
    names = file.format.name.split(",")
    if any(name in PICTURES or name.endswith("_pipe") for name in names):
        raise Unreadable(f"not a video but a picture ({file.format.name})")
    streams = [stream for stream in file.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise Unreadable("not a video: it has no stream of moving pictures")
    if streams[0].codec_context is None:
        raise Unreadable("this FFmpeg has no decoder for its codec")
    return streams[0]


def rate_hz(stream: VideoStream) -> float:
    """Average frames per second, 0 if the container does not say."""
    return float(stream.average_rate or stream.guessed_rate or 0)


def check_whole(file: InputContainer, stream: VideoStream) -> None:
    """Compare a file with its header: the packets of `stream` if their number is declared; otherwise, in Matroska and
    webm, the end of the last packet of any stream. No picture is decoded.

    Raises:
        Unreadable: less than `COMPLETE` of it is present.
    """
    rate, n_packets, last_dts, end_sec = rate_hz(stream) or 25.0, 0, 0, 0.0
    for packet in _packets(file):
        if packet.stream_index == stream.index:
            n_packets, last_dts = n_packets + 1, max(last_dts, packet.dts or 0)
        if packet.pts is not None:
            length_sec = float(packet.duration * packet.time_base) if packet.duration else 1 / rate
            end_sec = max(end_sec, float(packet.pts * packet.time_base) + length_sec)
    if not n_packets:
        raise Unreadable("no frames")
    declared = declared_packets(file, stream)
    if declared:
        # avi counts frames dropped during recording, which have a time but no packet
        n_times = round(last_dts * (stream.time_base or 0) * rate) + 1 if file.format.name == "avi" else 0
        if max(n_packets, n_times) < COMPLETE * declared:
            raise Unreadable(f"damaged or cut off: {max(n_packets, n_times)} of {declared} frames")
    elif file.duration and file.format.name == MATROSKA:  # its duration counts from 0 and not from the first packet
        start_sec, declared_sec = (file.start_time or 0) / av.time_base, file.duration / av.time_base
        if end_sec - start_sec < COMPLETE * (declared_sec - start_sec):
            raise Unreadable(f"damaged or cut off: it ends at {end_sec:.1f} of {declared_sec:.1f} s")


def declared_packets(file: InputContainer, stream: VideoStream) -> int:
    """Packets of a stream according to its header, 0 if it does not say. Packets that no edit list needs are not
    counted.
    """
    return len(stream.index_entries) if file.format.name == MP4 and stream.frames else stream.frames


def _packets(file: InputContainer) -> Iterator[av.Packet]:
    """All readable packets: an error that FFmpeg cannot get past is the end of the file."""
    with contextlib.suppress(av.FFmpegError):
        yield from (packet for packet in file.demux() if packet.size)


class Rgb:
    """Pictures of one video as RGB, all of one size (pixels as stored), upright if the header gives a rotation."""

    def __init__(self, width: int, height: int) -> None:
        self._convert, self._size = VideoReformatter(), (width, height)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Pixels (H, W, 3) uint8."""
        # one thread: starting more threads for each frame costs more than the conversion
        pixels = self._convert.reformat(frame, *self._size, "rgb24", threads=1).to_ndarray()
        matrix = display_matrix(frame)
        return pixels if matrix is None else _upright(pixels, matrix)


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The container's rotation or mirroring of pictures, (3, 3); None if there is none, or if it changes nothing."""
    found: Any = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # keys may be types
    if found is None:
        return None
    matrix = np.frombuffer(found, np.int32).reshape(3, 3)
    upright = matrix[0, 0] > 0 and matrix[1, 1] > 0 and not matrix[0, 1] and not matrix[1, 0]
    return None if upright else matrix


def _upright(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Pixels turned by the nearest multiple of 90 degrees, and mirrored: column x, row y goes to
    (x, y) @ matrix[:2, :2] (ISO/IEC 14496-12, 6.2.2).
    """
    (a, b), (c, d) = matrix[:2, :2].tolist()
    x_sign, y_sign = (a, d) if abs(a) >= abs(b) else (c, b)
    if abs(a) < abs(b):
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1])
