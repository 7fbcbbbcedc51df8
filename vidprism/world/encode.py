"""Writing and reading back encoded videos with PyAV, byte for byte the same on every run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np


@dataclass(frozen=True)
class Container:
    """How a dataset stores its videos: file extension, codec, frame rate in Hz and encoder options."""

    extension: str
    codec: str
    fps: int
    options: dict[str, str] = field(default_factory=dict)


# good quality throughout: frames that fade with their distance from a key frame would give away the direction
# of time
MPEG4_AVI = Container("avi", "mpeg4", 25, {"qmin": "2", "qmax": "2", "b": "4000000"})
VP9_WEBM = Container("webm", "libvpx-vp9", 12, {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "0"})
H264_MP4 = Container("mp4", "libx264", 25, {"preset": "ultrafast", "crf": "18"})


def write_video(path: Path, frames: np.ndarray, container: Container) -> None:
    """Encode frames (T, H, W, 3) uint8 into `path`; H and W must be even (4:2:0 chroma).

    One thread and FFmpeg's bit-exact flags: no encoder version, time stamp or random identifier gets into the
    file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"fflags": "bitexact"}) as file:
        stream = file.add_stream(container.codec, rate=container.fps, options=dict(container.options))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def read_video(path: Path) -> np.ndarray:
    """Decode every frame with PyAV: (T, H, W, 3) uint8. The suite itself reads through vidprism.video."""
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
