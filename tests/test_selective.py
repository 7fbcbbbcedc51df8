"""Decoding less gives decord's very pixels, for every kind of file that it takes; the others are left to decord."""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.test_video import rotated
from vidprism import decoding, selective, video, world

BFRAMES = {"x264-params": "bframes=4:b-adapt=0:ref=4"}


def write(
    path: Path,
    codec: str = "libx264",
    size: tuple[int, int] = (112, 80),
    n_frames: int = 50,
    key_every: int = 12,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    time: Callable[[int], int] = lambda i: 40 * i,
) -> Path:
    """A coloured texture that moves and changes its brightness; `time` is when frame i is shown, in ms."""
    texture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    width, height = size
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options={"g": str(key_every), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(n_frames):
            pixels = (texture[i : i + height, 2 * i : 2 * i + width] * (0.7 + 0.3 * np.sin(i / 5))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 1000), time(i)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def by_decord(path: Path, indices: np.ndarray) -> np.ndarray:
    return decoding.open_decord(path).read(indices)


def is_taken(path: Path) -> bool:
    with selective.open_file(path) as reader:
        return reader is not None


TAKEN = {
    "key frames 12, B-frames": ("a.mp4", {"options": BFRAMES}),
    "key frames 250, B-frames": ("a.mp4", {"options": BFRAMES, "key_every": 250}),
    "pyramid of B-frames": ("a.mp4", {"options": {"x264-params": "bframes=8:b-adapt=0:b-pyramid=strict:ref=8"}}),
    "only key frames": ("a.mp4", {"key_every": 1}),
    "no B-frames": ("a.mp4", {"options": {"preset": "ultrafast", "crf": "18"}, "key_every": 250}),
    "variable rate": ("a.mp4", {"time": lambda i: 20 * min(i, 20) + 200 * max(i - 20, 0)}),
    "full range": ("a.mp4", {"pix_fmt": "yuvj420p"}),
    "width no multiple of 8": ("a.mp4", {"size": (106, 82)}),
    "Matroska": ("a.mkv", {"options": BFRAMES}),
    "VP9": ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    "VP9 with hidden frames": (
        "a.webm",
        {"codec": "libvpx-vp9", "options": {"cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    ),
    "VP9 of odd width": ("a.webm", {"codec": "libvpx-vp9", "size": (113, 80), "options": {"deadline": "realtime"}}),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_pixels_are_those_of_decord(tmp_path: Path, kind: str) -> None:
    """Also when a few frames are wanted, so that groups are passed over, and the last one, which the decoder holds."""
    name, options = TAKEN[kind]
    path = write(tmp_path / name, **options)
    with selective.open_file(path) as reader:
        assert reader is not None and len(reader) == len(decoding.open_decord(path)) == 50
        for indices in (np.arange(50), np.array([3, 4, 30]), np.array([49]), video.frame_indices(50, 8)):
            np.testing.assert_array_equal(reader.read(indices), by_decord(path, indices))


LEFT = {
    "avi": ("a.avi", {"codec": "mpeg4"}),
    "another codec": ("a.webm", {"codec": "libvpx"}),
    "open groups": ("a.mp4", {"options": {"x264-params": "open-gop=1:bframes=3:b-adapt=0"}}),
    "no key frames but the first": ("a.mp4", {"options": {"x264-params": "intra-refresh=1"}}),
    "interlaced": ("a.mp4", {"options": {"x264-params": "interlaced=1"}}),
    "10 bits": ("a.mp4", {"pix_fmt": "yuv420p10le"}),
    "odd height": ("a.webm", {"codec": "libvpx-vp9", "size": (112, 81), "options": {"deadline": "realtime"}}),
}


@pytest.mark.parametrize("kind", LEFT)
def test_other_files_are_left_to_decord(tmp_path: Path, kind: str) -> None:
    name, options = LEFT[kind]
    path = write(tmp_path / name, **options)
    assert not is_taken(path)
    indices = np.array([0, 7, 8, 20])
    np.testing.assert_array_equal(video.read_clip(path, indices), by_decord(path, indices))


def test_rotated_and_large_files_are_left_to_decord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", size=(160, 120), n_frames=12)
    assert is_taken(path)
    assert not is_taken(rotated(path))
    path = write(tmp_path / "b.mp4", n_frames=12)
    monkeypatch.setattr(selective, "MOST_BYTES", path.stat().st_size - 1)
    assert not is_taken(path)


def test_less_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wanted frames in groups of 12: no packet of other groups, none after the wanted one."""
    path, seen = write(tmp_path / "a.mp4"), []
    with selective.open_file(path) as reader:
        monkeypatch.setattr(reader, "_decoder", Spy(reader._decoder, seen))
        reader.read(np.array([13, 40]))
        sent = np.searchsorted(np.sort(reader._times), [packet.pts for packet in seen if packet is not None])
    assert {12, 13, 36, 40} <= set(sent.tolist()) <= {*range(12, 24), *range(36, 48)} and len(sent) < 14


class Spy:
    """A decoder that notes what it is given."""

    def __init__(self, decoder: object, seen: list) -> None:
        object.__setattr__(self, "inner", decoder)
        object.__setattr__(self, "seen", seen)

    def decode(self, packet: object) -> list:
        self.seen.append(packet)
        return self.inner.decode(packet)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.inner, name, value)


@pytest.mark.parametrize("name, codec", [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_damage_is_found_where_it_matters(tmp_path: Path, name: str, codec: str) -> None:
    """Zeroes, noise, and files that are cut off, at many places: where decord meets damage, we do too, unless no
    wanted frame needs the damaged one. (Where it meets none, a newer FFmpeg may, rarely.)
    """
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {}
    path, rng, counts = write(tmp_path / name, codec, options=options), np.random.default_rng(0), Counter()
    good, indices = path.read_bytes(), video.frame_indices(50, 16)
    whole = video.read_clip(path, indices)
    for trial in range(30):
        content, start = bytearray(good), int(rng.integers(len(good) // 10, 9 * len(good) // 10))
        length = int(rng.integers(1, 60))
        noise = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        content[start : start + length] = (bytes(length), noise, b"")[trial % 3]
        path.write_bytes(content if trial % 3 < 2 else content[:start])
        ours, decords = reason(video.read_clip, path, indices), reason(read_by_decord, path, indices)
        counts[bool(ours), bool(decords)] += 1
        if decords and not ours:
            np.testing.assert_array_equal(video.read_clip(path, indices), whole)
    assert counts[True, True] >= 10 and counts[False, False] >= 5
    assert counts[True, False] <= 1 and counts[False, True] <= 3


def reason(read: Callable[[Path, np.ndarray], object], path: Path, indices: np.ndarray) -> str:
    """Why a file cannot be read, "" where it can."""
    try:
        read(path, indices)
    except video.Unreadable as error:
        assert error.reason and str(path.parent) not in error.reason
        return error.reason
    return ""


def read_by_decord(path: Path, indices: np.ndarray) -> np.ndarray:
    return decoding.read(decoding.open_decord(path), indices)


def test_a_packet_without_a_picture_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    with selective.open_file(path) as reader:
        reader._decoder = Deaf(reader._decoder, [])
        with pytest.raises(video.Unreadable, match=r"frames 3 to 9 of 50 cannot all be decoded \(MissingFrameError\)"):
            decoding.read(reader, np.array([3, 9]))


class Deaf(Spy):
    """A decoder that gives nothing back."""

    def decode(self, packet: object) -> list:
        super().decode(packet)
        return []


def test_the_mini_world_looks_as_decord_shows_it(tmp_path: Path) -> None:
    """So features of generated videos are the same to the last bit, whichever decoder reads them."""
    world.tiny(tmp_path)
    paths = [path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".mp4", ".webm")]
    assert {path.suffix for path in paths} == {".mp4", ".webm"}
    for path in paths:
        indices = video.frame_indices(len(decoding.open_decord(path)), 16)
        assert is_taken(path)
        np.testing.assert_array_equal(video.read_clip(path, indices), by_decord(path, indices))
