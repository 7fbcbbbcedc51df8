"""Decoding less of a video: only what the wanted frames need, with the very pixels that decord gives.

All packets are listed, which decodes nothing. Groups of pictures without a wanted frame are passed over, each other
one is decoded from its key frame to its last wanted frame, and what no other frame refers to is skipped unless it is
wanted. Only wanted frames become RGB. Which files can be read so is known before their frames are (`open_file`):
conversion, rotation or counting would differ from decord's for others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

# How an mp4 and a webm (or mkv) file begin: position and bytes.
SIGNATURES = ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3"))
CODECS = ("h264", "vp9")
# Of other formats, FFmpeg's versions disagree about the conversion to RGB.
PIXELS = ("yuv420p", "yuvj420p")
PROGRESSIVE = (0, 1)  # FFmpeg's AVFieldOrder: not known (VP9 has no fields), progressive
# The packets of a video lie in memory while it is read.
MOST_BYTES = 64 * 2**20
IDR = 5  # NAL unit type of the slices of a key frame that nothing refers across (ITU-T H.264, table 7-1)


class MissingFrameError(RuntimeError):
    """The decoder gave no picture for a packet whose frame was wanted."""


class PacketReader:
    """The frames of one suitable file by their number in the order of display, as decord counts them."""

    def __init__(self, stream: av.VideoStream, packets: list[av.Packet]) -> None:
        self._decoder, self._packets = stream.codec_context, packets
        self._times = np.array([packet.pts for packet in packets])
        keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
        self._groups = list(zip(keys, [*keys[1:], len(packets)], strict=True))

    def __len__(self) -> int:
        return len(self._packets)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) uint8, RGB.

        Args:
            indices: distinct and rising, (T,).

        Raises:
            av.FFmpegError: a packet that is needed does not decode.
            MissingFrameError: it decodes to nothing.
        """
        times = np.sort(self._times)[indices]
        place = {time: i for i, time in enumerate(times.tolist())}
        width, height = self._decoder.width, self._decoder.height
        out, convert = np.empty((len(times), height, width, 3), np.uint8), VideoReformatter()
        for frame in self._decode(place):
            if frame.pts in place:
                # one thread: starting more for each frame costs more than the conversion
                rgb = convert.reformat(frame, width, height, "rgb24", threads=1)
                out[place.pop(frame.pts)] = rgb.to_ndarray()
        if place:
            raise MissingFrameError(f"{len(place)} of {len(times)} frames are missing")
        return out

    def _decode(self, wanted: dict[int, int]) -> Iterator[av.VideoFrame]:
        """The pictures of all groups that hold a wanted time."""
        is_wanted = np.isin(self._times, list(wanted))
        for start, end in self._groups:
            if is_wanted[start:end].any():
                last = start + int(np.flatnonzero(is_wanted[start:end])[-1])
                for i in range(start, last + 1):
                    self._decoder.skip_frame = "DEFAULT" if is_wanted[i] else "NONREF"
                    yield from self._decoder.decode(self._packets[i])
                yield from self._decoder.decode(None)
                self._decoder.flush_buffers()


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[PacketReader | None]:
    """A reader of `path`, or None where the file must be left to decord: another container, codec or pixel format,
    several video streams, an odd height, interlaced or turned pictures, packets without a time of their own, damaged
    or left out by the container, groups of pictures that need their neighbours, or more than `MOST_BYTES`.

    Raises:
        av.FFmpegError: an mp4 or webm file that FFmpeg cannot open or list.
    """
    if not _has_signature(path) or path.stat().st_size > MOST_BYTES:
        yield None
        return
    with av.open(str(path), metadata_errors="replace") as file:
        yield _reader(file)


def _has_signature(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return any(head[at:].startswith(content) for at, content in SIGNATURES)


def _reader(file: av.container.InputContainer) -> PacketReader | None:
    if len(file.streams.video) != 1:
        return None
    stream = file.streams.video[0]
    decoder = stream.codec_context
    if decoder.name not in CODECS or decoder.pix_fmt not in PIXELS or decoder.height % 2:
        return None
    if decoder.field_order not in PROGRESSIVE:
        return None
    packets = [packet for packet in file.demux(stream) if packet.size]
    if not _are_plain(packets, stream.frames) or not _are_closed(packets, decoder):
        return None
    decoder.thread_count = 1
    return PacketReader(stream, packets) if _is_upright(packets[0], decoder) else None


def _are_plain(packets: list[av.Packet], declared: int) -> bool:
    """Whether every packet is one shown frame with a time of its own, and all that the header declares (0: it does
    not) are there.
    """
    times = {packet.pts for packet in packets}
    damaged = any(packet.is_corrupt or packet.is_discard for packet in packets)
    return not damaged and None not in times and len(times) == len(packets) and len(packets) == (declared or len(times))


def _are_closed(packets: list[av.Packet], decoder: av.VideoCodecContext) -> bool:
    """Whether each group of pictures can be decoded, and comes to be shown, without its neighbours."""
    times, keys = np.array([packet.pts for packet in packets]), [p.is_keyframe for p in packets]
    earliest_from = np.minimum.accumulate(times[::-1])[::-1]
    if not packets or not keys[0] or (earliest_from != times)[keys].any():
        return False
    return decoder.name != "h264" or all(_is_idr(p, decoder) for p in packets if p.is_keyframe)


def _is_idr(packet: av.Packet, decoder: av.VideoCodecContext) -> bool:
    """Whether the first slice of a packet is an IDR picture's. NAL units follow their length (ISO/IEC 14496-15)."""
    content, setup = bytes(packet), decoder.extradata or b""
    if len(setup) < 5 or setup[0] != 1:
        return False
    n_bytes, at = (setup[4] & 3) + 1, 0
    while at + n_bytes < len(content):
        kind = content[at + n_bytes] & 31
        if 1 <= kind <= IDR:
            return kind == IDR
        at += n_bytes + int.from_bytes(content[at : at + n_bytes], "big")
    return False


def _is_upright(packet: av.Packet, decoder: av.VideoCodecContext) -> bool:
    """Whether the first picture is neither interlaced nor turned or mirrored by a note in the header, which PyAV shows
    on pictures alone.
    """
    frames = [*decoder.decode(packet), *decoder.decode(None)]
    decoder.flush_buffers()
    return bool(frames) and not frames[0].interlaced_frame and frames[0].side_data.get(Type.DISPLAYMATRIX) is None
