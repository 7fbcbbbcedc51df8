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
# NAL unit types (ITU-T H.264, table 7-1): a slice of any picture, and of a key frame that nothing refers across.
SLICE, IDR = 1, 5


class MissingFrameError(RuntimeError):
    """The decoder gave no picture for a packet whose frame was wanted."""


class PacketReader:
    """The frames of one suitable file by their number in the order of display, as decord counts them."""

    def __init__(self, decoder: av.VideoCodecContext, packets: list[av.Packet], is_reference: list[bool]) -> None:
        self._decoder, self._packets, self._is_reference = decoder, packets, is_reference
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
                    # FFmpeg's skip_frame would do the same, but takes a damaged reference frame for a skipped one
                    if is_wanted[i] or self._is_reference[i]:
                        yield from self._decoder.decode(self._packets[i])
                yield from self._decoder.decode(None)
                self._decoder.flush_buffers()


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[PacketReader | None]:
    """A reader of `path`, or None where the file must be left to decord: another container, codec or pixel format,
    several video streams, an odd height, interlaced or turned pictures, packets without a time of their own, damaged
    or left out by the container, groups of pictures that need their neighbours, or more than `MOST_BYTES`.

    Raises:
        av.FFmpegError: an mp4 or webm file that FFmpeg cannot open or list, or whose first picture does not decode.
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
    if len(file.streams.video) != 1 or not _is_known(file.streams.video[0].codec_context):
        return None
    stream = file.streams.video[0]
    decoder, packets = stream.codec_context, [packet for packet in file.demux(stream) if packet.size]
    if not packets or not _are_plain(packets, stream.frames) or not _are_in_order(packets):
        return None
    is_reference = [True] * len(packets)
    if decoder.name == "h264":
        slices = [_first_slice(packet, decoder.extradata or b"") for packet in packets]
        if any(kind != IDR if p.is_keyframe else not kind for p, (_, kind) in zip(packets, slices, strict=True)):
            return None
        is_reference = [priority > 0 for priority, _ in slices]
    decoder.thread_count = 1
    return PacketReader(decoder, packets, is_reference) if _is_upright(packets[0], decoder) else None


def _is_known(decoder: av.VideoCodecContext | None) -> bool:
    """Whether it is a codec whose pictures become the same RGB in decord's FFmpeg and in PyAV's."""
    if decoder is None or decoder.name not in CODECS or decoder.pix_fmt not in PIXELS:
        return False
    return decoder.height % 2 == 0 and decoder.field_order in PROGRESSIVE


def _are_plain(packets: list[av.Packet], declared: int) -> bool:
    """Whether every packet is one shown frame with a time of its own, and all that the header declares (0: it does
    not) are there.
    """
    times = {packet.pts for packet in packets}
    damaged = any(packet.is_corrupt or packet.is_discard for packet in packets)
    return not damaged and None not in times and len(times) == len(packets) and len(packets) == (declared or len(times))


def _are_in_order(packets: list[av.Packet]) -> bool:
    """Whether no group of pictures has one to show before its key frame, or after the next one."""
    times, is_key = np.array([packet.pts for packet in packets]), np.array([p.is_keyframe for p in packets])
    earliest_from = np.minimum.accumulate(times[::-1])[::-1]
    return bool(is_key[0]) and not (is_key & (earliest_from != times)).any()


def _first_slice(packet: av.Packet, setup: bytes) -> tuple[int, int]:
    """(nal_ref_idc, nal_unit_type) of the first slice of an H.264 packet, (0, 0) if there is none or the packet is
    damaged: NAL units follow their length, whose size `setup` tells (ISO/IEC 14496-15, 5.3.3), and fill the packet.
    """
    if len(setup) < 5 or setup[0] != 1:
        return 0, 0
    content, n_bytes, at, found = memoryview(packet), (setup[4] & 3) + 1, 0, (0, 0)
    while at < len(content):
        length = int.from_bytes(content[at : at + n_bytes], "big")
        header = content[at + n_bytes] if at + n_bytes < len(content) else 0
        if SLICE <= header & 31 <= IDR and found == (0, 0):
            found = header >> 5 & 3, header & 31
        at += n_bytes + length
        if not length:
            return 0, 0
    return found if at == len(content) else (0, 0)


def _is_upright(packet: av.Packet, decoder: av.VideoCodecContext) -> bool:
    """Whether the first picture is neither interlaced nor turned or mirrored by a note in the header, which PyAV shows
    on pictures alone.
    """
    frames = [*decoder.decode(packet), *decoder.decode(None)]
    decoder.flush_buffers()
    return bool(frames) and not frames[0].interlaced_frame and frames[0].side_data.get(Type.DISPLAYMATRIX) is None
