"""Which way a video file is read, and why.

The default is from start to end (`vidprism.videos.sequential`). Reading by packets (`vidprism.videos.partial_decoding`)
decodes less with the same FFmpeg. It is used for files that are shown to read the same, by the checks in this module
before any frame is read, and by tests that compare both ways over codecs and containers. It needs groups of pictures
that can be decoded independently, and packets that each show one frame at a time of its own.

decord reads no frames for results: it is exact on fewer files and slower on these, and its answers for damaged files
vary. With `check.decoding: full` it gives a second opinion where it is exact, as another FFmpeg that must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vidprism.videos.container import MATROSKA, MP4, declared_packets, display_matrix

START_TO_END, PACKETS = READERS = ("start to end", "packets")
CONTAINERS = {MP4: "mp4", MATROSKA: "Matroska"}
CODECS = ("h264", "hevc", "vp9")
PROGRESSIVE = (0, 1)  # FFmpeg's AVFieldOrder: unknown (VP9 has no fields), progressive
# The packets of a video stay in memory while it is read.
MOST_BYTES = 64 * 2**20
# For other formats, versions of FFmpeg disagree about the conversion to RGB; decord fails at some smaller widths.
DECORD_PIXELS, DECORD_LEAST_WIDTH_PX = ("yuv420p", "yuvj420p"), 100
# NAL unit types (ITU-T H.264, table 7-1; H.265, table 7-1): slices of any picture, and of key frames; in H.264 only
# key frames that no other frame refers across.
SLICES = {"h264": range(1, 6), "hevc": range(32)}
KEYS = {"h264": range(5, 6), "hevc": range(16, 24)}


class Way(NamedTuple):
    """One of `READERS`, and why it is correct. "packets" also gives all packets of the stream, and which of them other
    frames refer to.
    """

    reader: str
    why: str
    packets: tuple[av.Packet, ...] = ()
    is_reference: tuple[bool, ...] = ()


def choose(file: InputContainer, stream: VideoStream) -> Way:
    """The way to read the video `stream` of an opened file that has not been read yet."""
    obstacle = _of_file(file, stream)
    if obstacle:
        return Way(START_TO_END, obstacle)
    decoder = stream.codec_context
    is_reference: tuple[bool, ...] = ()
    try:
        packets = tuple(packet for packet in file.demux(stream) if packet.size)
        obstacle = _of_packets(packets, declared_packets(file, stream)) or _of_order(packets, decoder.reorder_depth)
        if not obstacle and decoder.name in SLICES:
            headers = [_first_slice(packet, decoder.name, decoder.extradata or b"") for packet in packets]
            obstacle = _of_slices(packets, decoder.name, headers)
            is_reference = tuple(decoder.name != "h264" or header >> 5 & 3 > 0 for header in headers)
        obstacle = obstacle or _of_first_picture(packets[0], decoder)
    except av.FFmpegError as error:
        obstacle = f"its packets or the first picture cannot be read ({type(error).__name__})"
    if obstacle:
        return Way(START_TO_END, obstacle)
    why = f"{decoder.name} in {CONTAINERS[file.format.name]}, groups of pictures stand alone"
    return Way(PACKETS, why, packets, is_reference or (True,) * len(packets))


def suits_decord(stream: VideoStream) -> bool:
    """Whether decord is exact for a video that is read by packets."""
    decoder = stream.codec_context
    return decoder.pix_fmt in DECORD_PIXELS and decoder.height % 2 == 0 and decoder.width >= DECORD_LEAST_WIDTH_PX


def _of_file(file: InputContainer, stream: VideoStream) -> str:
    """Why the header requires a file to be read from start to end; "" if it does not."""
    decoder = stream.codec_context
    if file.format.name not in CONTAINERS:
        return f"container {file.format.name}"
    if decoder.name not in CODECS:
        return f"codec {decoder.name}"
    if len(file.streams.video) != 1:
        return "several streams of pictures"
    if file.size > MOST_BYTES:
        return f"more than {MOST_BYTES // 2**20} MiB"
    if decoder.field_order not in PROGRESSIVE:
        return "interlaced"
    return ""


def _of_packets(packets: Sequence[av.Packet], declared: int) -> str:
    """Whether a packet is not exactly one shown frame with its own time, or declared packets are missing (0 declared:
    unknown).
    """
    times = {packet.pts for packet in packets}
    if any(packet.is_discard for packet in packets):
        return "frames hidden by an edit list"
    if any(packet.is_corrupt for packet in packets):
        return "damaged packets"
    if None in times or len(times) != len(packets):
        return "packets without a time of their own"
    if not packets or len(packets) != (declared or len(packets)):
        return f"{len(packets)} packets of {declared} declared"
    return ""


def _of_order(packets: Sequence[av.Packet], reorder_depth: int) -> str:
    """Whether a group of pictures has one to show before its key frame or after the next key frame, or packets come too
    late for a decoder that holds back `reorder_depth` pictures, which would show them out of order.
    """
    times, is_key = np.array([packet.pts for packet in packets]), np.array([p.is_keyframe for p in packets])
    if not is_key[0]:
        return "does not begin with a key frame"
    earliest_from = np.minimum.accumulate(times[::-1])[::-1]
    if (is_key & (earliest_from != times)).any():
        return "groups of pictures need their neighbours"
    late = (np.argsort(times) - np.arange(len(times))).max()
    return "reordered more than its header says" if late > reorder_depth else ""


def _of_slices(packets: Sequence[av.Packet], codec: str, headers: list[int]) -> str:
    if -1 in headers:
        return f"{codec} packets with unknown slices"
    kinds = [_kind(codec, header) for header in headers]
    if any(kind not in KEYS[codec] for packet, kind in zip(packets, kinds, strict=True) if packet.is_keyframe):
        return f"{codec} key frames that other frames refer across"
    return ""


def _kind(codec: str, header: int) -> int:
    """Type of a NAL unit by the first byte of its header."""
    return header & 31 if codec == "h264" else header >> 1 & 63


def _first_slice(packet: av.Packet, codec: str, setup: bytes) -> int:
    """First byte of the header of a packet's first slice, -1 if there is none or the packet is damaged. Each NAL unit
    follows its length, whose size `setup` gives (ISO/IEC 14496-15, 5.3.3 and 8.3.3), and they fill the packet.
    """
    size_at = 4 if codec == "h264" else 21
    if len(setup) <= size_at or setup[0] != 1:
        return -1
    content, n_bytes, at, found = memoryview(packet), (setup[size_at] & 3) + 1, 0, -1
    while at < len(content):
        length = int.from_bytes(content[at : at + n_bytes], "big")
        header = content[at + n_bytes] if at + n_bytes < len(content) else 255
        if found < 0 and _kind(codec, header) in SLICES[codec]:
            found = header
        at += n_bytes + length
        if not length:
            return -1
    return found if at == len(content) else -1


def _of_first_picture(packet: av.Packet, decoder: av.VideoCodecContext) -> str:
    """Whether the first picture is missing, interlaced, or rotated or mirrored by a note in the header, which PyAV only
    reports with pictures.
    """
    decoder.thread_count = 1
    frames = [*decoder.decode(packet), *decoder.decode(None)]
    decoder.flush_buffers()
    if not frames:
        return "the first packet shows nothing"
    if frames[0].interlaced_frame:
        return "interlaced"
    return "" if display_matrix(frames[0]) is None else "turned or mirrored by its header"
