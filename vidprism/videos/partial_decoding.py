"""Decode less of a video with the same pixels: only what the requested frames need.

All packets are listed, which decodes nothing. Groups of pictures without a requested frame are skipped. Each other
group is decoded from its key frame to its last requested frame, without frames that are neither requested nor referred
to. Only requested frames are converted to RGB. Whether a file can be read this way is known before its frames are read
(`vidprism.videos.ways`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from vidprism.videos.container import Rgb
from vidprism.videos.sequential import StartToEnd


class PacketReader:
    """The frames of one suitable file by their number in display order. `packets` are all packets of the file in their
    order, and `is_reference` tells which of them others refer to.
    """

    def __init__(
        self,
        path: Path,
        decoder: av.VideoCodecContext,
        packets: Sequence[av.Packet],
        is_reference: Sequence[bool],
    ) -> None:
        self._path, self._decoder, self._packets, self._is_reference = path, decoder, packets, is_reference
        self._size = decoder.width, decoder.height
        self._times = np.array([packet.pts for packet in packets])
        keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
        self._groups = list(zip(keys, [*keys[1:], len(packets)], strict=True))

    def __len__(self) -> int:
        return len(self._packets)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB. If the file turns out to be damaged, they are those of decoding from start to
        end: how a decoder conceals errors depends on everything it has decoded.

        Args:
            indices: distinct and increasing, (T,).

        Raises:
            Unreadable: the file is damaged, and does not decode from start to end.
            MissingFrameError: it is damaged, and has fewer frames.
        """
        try:
            found = self._read(indices)
        except av.FFmpegError:
            found = None
        return StartToEnd(self._path).read(indices) if found is None else found

    def _read(self, indices: np.ndarray) -> np.ndarray | None:
        """The frames, or None if the decoder marks a picture as damaged or gives none for a packet."""
        times = np.sort(self._times)[indices]
        place = {time: i for i, time in enumerate(times.tolist())}
        width, height = self._size
        out, to_rgb = np.empty((len(times), height, width, 3), np.uint8), Rgb(width, height)
        for frame in self._decode(place):
            if frame.is_corrupt:
                return None
            if frame.pts in place:
                out[place.pop(frame.pts)] = to_rgb(frame)
        return None if place else out

    def _decode(self, wanted: dict[int, int]) -> Iterator[av.VideoFrame]:
        """The pictures of all groups that contain a requested time."""
        is_wanted = np.isin(self._times, list(wanted))
        for start, end in self._groups:
            if is_wanted[start:end].any():
                last = start + int(np.flatnonzero(is_wanted[start:end])[-1])
                for i in range(start, last + 1):
                    # FFmpeg's skip_frame would do the same, but it mistakes a damaged reference frame for a skipped one
                    if is_wanted[i] or self._is_reference[i]:
                        yield from self._decoder.decode(self._packets[i])
                yield from self._decoder.decode(None)
                self._decoder.flush_buffers()
