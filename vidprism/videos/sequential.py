"""A video decoded from its start: the rule that every other way of reading is held to.

Frame i is the one that a decoder going from start to end shows as number i. What an edit list hides, and what cannot
be decoded because the file does not begin with a key frame, is not shown and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from vidprism.videos.container import COMPLETE, Rgb, Unreadable, open_video

# Decoded frames that wait for their number to be known; a video that needs more is decoded a second time.
KEPT_BYTES = 128 * 2**20
# Decoders that begin without a key frame all the same, and then show grey with what changes in it; others show nothing
# until they meet one.
NEED_A_KEY_FRAME = ("mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "h263", "flv", "wmv1", "wmv2")


class MissingFrameError(RuntimeError):
    """The decoder gave no picture for a frame that was wanted."""


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    """The frames of a file in the order of display, by one thread. A damaged packet ends them if at least `COMPLETE` of
    the frames came before it.

    Raises:
        Unreadable: the file cannot be opened, most of it does not decode, or it begins with frames that show only what
            changes.
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
    """Packets that are not hidden by an edit list: as a rule the number of frames.

    Raises:
        Unreadable: the file cannot be opened.
    """
    n_packets = 0
    with open_video(path) as (file, stream):
        try:
            for packet in file.demux(stream):
                n_packets += packet.size > 0 and not packet.is_discard
        except av.FFmpegError:
            return n_packets  # FFmpeg gets no further
    return n_packets


class StartToEnd:
    """`vidprism.videos.decoding.Frames` of any file: decoded from its start to its end to count them, and to the last
    wanted one where their number is not asked.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._n_frames = path, -1
        self._kept: list[av.VideoFrame] = []  # all or none

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
