"""Videos in many codecs and containers whose frames show their number, and the frames that a decoder shows from start
to end, written here with PyAV's own conversion and independent of the suite's readers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

BITS = 8  # of a frame's number, bars from left to right in the upper quarter of the picture
TEXTURE = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)


def picture(i: int, width: int, height: int) -> np.ndarray:
    """A coloured texture that moves and changes its brightness, with the number `i`."""
    pixels = (TEXTURE[i : i + height, 2 * i : 2 * i + width] * (0.7 + 0.3 * np.sin(i / 5))).astype(np.uint8)
    for bit in range(BITS):
        pixels[: height // 4, bit * width // BITS : (bit + 1) * width // BITS] = 235 if i >> bit & 1 else 20
    return pixels


def number(pixels: np.ndarray) -> int:
    """The number that a frame carries."""
    height, width = pixels.shape[:2]
    edges, margin = np.arange(BITS + 1) * width // BITS, width // (4 * BITS)
    bars = [
        pixels[height // 16 : height * 3 // 16, left + margin : right - margin].mean() > 127
        for left, right in pairwise(edges)
    ]
    return sum(1 << bit for bit, is_on in enumerate(bars) if is_on)


@dataclass(frozen=True)
class Kind:
    """How a video is coded."""

    codec: str
    key_every: int = 12
    b_frames: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"


def x264(settings: str, **choices: object) -> Kind:
    """H.264 by x264 with its own settings."""
    return Kind("libx264", options={"x264-params": settings}, **choices)


def x265(settings: str) -> Kind:
    """HEVC by x265 with its own settings, key frames every 12 frames."""
    return Kind("libx265", options={"x265-params": f"log-level=none:keyint=12:min-keyint=12:scenecut=0:{settings}"})


FAST_VPX = {"deadline": "realtime", "cpu-used": "8"}
KINDS = {
    "mpeg4": Kind("mpeg4", b_frames=0),
    "mpeg4 one key frame": Kind("mpeg4", 250, b_frames=0),
    "mpeg4 B-frames": Kind("mpeg4", b_frames=2),
    "msmpeg4": Kind("msmpeg4", b_frames=0),
    "mjpeg": Kind("mjpeg", pix_fmt="yuvj420p"),
    "h264": x264("bframes=0:scenecut=0"),
    "h264 key frames": Kind("libx264", 1),
    "h264 B-frames": x264("bframes=3:b-adapt=0:scenecut=0"),
    "h264 pyramid": x264("bframes=8:b-adapt=0:b-pyramid=strict:ref=8", key_every=250),
    "h264 open groups": x264("open-gop=1:bframes=3:b-adapt=0:scenecut=0"),
    "hevc": x265("bframes=0"),
    "hevc B-frames": x265("open-gop=0:bframes=4"),
    "hevc open groups": x265("open-gop=1:bframes=4"),
    "vp8": Kind("libvpx", options=FAST_VPX),
    "vp9": Kind("libvpx-vp9", options=FAST_VPX),
    "vp9 hidden frames": Kind("libvpx-vp9", options={"cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "av1": Kind("libsvtav1", options={"preset": "12"}),
    "mpeg2": Kind("mpeg2video", b_frames=0),
    "mpeg2 B-frames": Kind("mpeg2video", b_frames=2),
    "mpeg1 B-frames": Kind("mpeg1video", b_frames=2),
}


SOUND = {".webm": "libopus", ".mkv": "libopus", ".mp4": "aac", ".mov": "aac"}  # and MPEG's layer 2 in all others
SOUND_HZ = 48_000


def write(
    path: Path,
    kind: Kind,
    n_frames: int = 40,
    size: tuple[int, int] = (112, 80),
    time_ms: Callable[[int], int] | None = None,
    sound_sec: float = 0.0,
    n_others: int = 0,
) -> Path:
    """A video of `n_frames` numbered frames, `size` (width, height) in pixels, 25 a second or when `time_ms` says; with
    silence of `sound_sec`, and with `n_others` more streams of pictures, whose frames all bear the number 255.
    """
    tick, packets = Fraction(1, 25 if time_ms is None else 1000), []
    with _own_scheduling(), av.open(str(path), "w") as file:
        streams = [_stream(file, kind, tick, size) for _ in range(1 + n_others)]
        sound = file.add_stream(SOUND.get(path.suffix, "mp2"), rate=SOUND_HZ) if sound_sec else None
        for i in range(n_frames):
            for which, stream in enumerate(streams):
                frame = av.VideoFrame.from_ndarray(picture(255 if which else i, *size), format="rgb24")
                frame = frame.reformat(format=kind.pix_fmt)
                frame.time_base, frame.pts = tick, i if time_ms is None else time_ms(i)
                packets += stream.encode(frame)
        for stream in streams:
            packets += stream.encode(None)
        packets += _silence(sound, sound_sec) if sound else []
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            file.mux(packet)
    return path


@contextmanager
def _own_scheduling() -> Iterator[None]:
    """Gives the process its scheduling back. SVT-AV1, run by root, makes the process that encodes, and with it all that
    this process starts later, real-time processes of the highest priority; a few of them can stop a whole machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # only Linux has these calls
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)


def _stream(file: av.container.OutputContainer, kind: Kind, tick: Fraction, size: tuple[int, int]) -> av.VideoStream:
    stream = file.add_stream(kind.codec, rate=25)
    (stream.width, stream.height), stream.pix_fmt, stream.gop_size = size, kind.pix_fmt, kind.key_every
    stream.options, stream.codec_context.time_base = kind.options, tick
    if kind.b_frames is not None:
        stream.codec_context.max_b_frames = kind.b_frames
    return stream


def _silence(stream: av.AudioStream, seconds: float) -> list[av.Packet]:
    stream.layout = "mono"
    n, packets = stream.codec_context.frame_size or 960, []
    kind, dtype = ("s16", np.int16) if stream.codec_context.name == "mp2" else ("fltp", np.float32)
    for k in range(int(seconds * SOUND_HZ / n)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, n), dtype), format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, k * n, Fraction(1, SOUND_HZ)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def copied(source: Path, path: Path, skip: int = 0, shift_frames: int = 0, lost: int = -1) -> Path:
    """The packets of a video of 25 frames a second in another file, without the first `skip` ones and the one with the
    number `lost`; with `shift_frames`, so many frames lie before time 0, where an edit list hides them: what cutting
    without encoding leaves.
    """
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"} if shift_frames else {}
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for i, packet in enumerate(packet for packet in old.demux(old.streams.video[0]) if packet.size):
            ticks = int(Fraction(shift_frames, 25) / packet.time_base)
            if i >= skip and i != lost:
                packet.stream = stream
                if ticks:
                    packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                new.mux(packet)
    return path


def shown(path: Path) -> np.ndarray:
    """The frames that a decoder shows from start to end, (N, H, W, 3) uint8, RGB."""
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
