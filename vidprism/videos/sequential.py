"""A video decoded from its start: the reference for every other way of reading.

Frame i is the frame that a decoder going from start to end shows as number i. Frames hidden by an edit list are not
shown and not counted; neither are frames that cannot be decoded because the file does not begin with a key frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from vidprism.videos.container import COMPLETE, Rgb, Unreadable, open_video

# Decoded frames kept until their number is known; a video that needs more is decoded a second time.
KEPT_BYTES = 128 * 2**20
# Decoders that start without a key frame and then show changes on a grey picture; others show nothing until the first
# key frame.
NEED_A_KEY_FRAME = ("mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "h263", "flv", "wmv1", "wmv2")


class MissingFrameError(RuntimeError):
    """The decoder gave no picture for a requested frame."""


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    """The frames of a file in display order, decoded by one thread. A damaged packet ends the video if at least
    `COMPLETE` of the frames came before it.

    Raises:
        Unreadable: the file cannot be opened, most of it does not decode, or its first frames show only changes to
            a missing key frame.
    """
    n_frames, has_key = 0, False
    try:
        with open_video(path) as (file, stream):
            decoder = stream.codec_context
            decoder.thread_count = 1
            for i, packet in enumerate(file.demux(stream)):
                has_key = packet.is_keyframe if i == 0 else has_key
                for frame in decoder.decode(packet):
                    if not n_frames and not has_key and frame.pict_type != PictureType.I:
                        _refuse_grey(decoder.name)
                    n_frames += 1
                    yield frame
    except av.FFmpegError as error:
        n_packets = count_shown(path)
        if n_frames < COMPLETE * n_packets or not n_frames:
            kind = type(error).__name__
            raise Unreadable(f"damaged or cut off: {n_frames} of {n_packets} frames decode ({kind})") from error


def _refuse_grey(codec: str) -> None:
    if codec in NEED_A_KEY_FRAME:
        raise Unreadable(f"does not begin with a key frame, without which {codec} shows only what changes")


def count_shown(path: Path) -> int:
    """Packets that are not hidden by an edit list, usually the number of frames.

    Raises:
        Unreadable: the file cannot be opened.
    """
    n_packets = 0
    with open_video(path) as (file, stream):
        try:
            for packet in file.demux(stream):
                n_packets += packet.size > 0 and not packet.is_discard
        except av.FFmpegError:
            return n_packets  # FFmpeg cannot continue
    return n_packets


class StartToEnd:
    """`vidprism.videos.decoding.Frames` of any file, decoded from its start: to the end if the frames must be counted,
    otherwise to the last requested frame.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._n_frames = path, -1
        self._kept: list[av.VideoFrame] = []  # all frames or none

    def __len__(self) -> int:
        if self._n_frames < 0:
            kept, n_bytes, n_frames = [], 0, 0
            for frame in decoded(self._path):
                n_frames += 1
                n_bytes += sum(plane.buffer_size for plane in frame.planes)
                if n_bytes <= KEPT_BYTES:
                    kept.append(frame)
                else:
                    kept.clear()
            self._kept, self._n_frames = kept, n_frames
        return self._n_frames

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB, at `indices` (T,), which are distinct and rising.

        Raises:
            Unreadable: the file cannot be opened, or does not decode so far.
            MissingFrameError: it has fewer frames.
        """
        wanted, found, to_rgb = set(indices.tolist()), [], None
        for i, frame in enumerate(self._kept or decoded(self._path)):
            to_rgb = to_rgb or Rgb(frame.width, frame.height)
            if i in wanted:
                found.append(to_rgb(frame))
            if len(found) == len(wanted):
                return np.stack(found)
        raise MissingFrameError(f"{len(wanted) - len(found)} of {len(wanted)} frames are missing")
