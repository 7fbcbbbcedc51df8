"""Decoding less gives exactly the pixels of decoding from start to end, for all kinds of pictures."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.coded import KINDS, copied, shown, write
from vidprism import world
from vidprism.videos import clips, decoding
from vidprism.videos.sequential import StartToEnd
from vidprism.videos.ways import PACKETS, START_TO_END

pytestmark = pytest.mark.slow


def test_less_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wanted frames in groups of 12: no packet of other groups, none after the wanted one."""
    path, seen = write(tmp_path / "a.mp4", KINDS["h264 B-frames"]), []
    with decoding.opened(path) as reader:
        monkeypatch.setattr(reader, "_decoder", Spy(reader._decoder, seen))
        reader.read(np.array([13, 38]))
        sent = np.searchsorted(np.sort(reader._times), [packet.pts for packet in seen if packet is not None])
    assert {12, 13, 36, 38} <= set(sent.tolist()) <= {*range(12, 24), *range(36, 40)} and len(sent) < 14


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


@pytest.mark.parametrize("name, kind", [("a.mp4", "h264"), ("a.webm", "vp9")])
def test_damage_is_found_where_it_matters(tmp_path: Path, name: str, kind: str) -> None:
    """Zeroes, noise, and files that are cut off, at many places: where decoding from start to end meets damage, we do
    too, unless no wanted frame needs the damaged one; where it covers damage up, we show the same pixels.
    """
    path, rng, counts = write(tmp_path / name, KINDS[kind]), np.random.default_rng(0), Counter()
    good, indices = path.read_bytes(), clips.frame_indices(40, 16)
    whole = clips.read_clip(path, indices)
    for trial in range(30):
        content, start = bytearray(good), int(rng.integers(len(good) // 10, 9 * len(good) // 10))
        length = int(rng.integers(1, 60))
        noise = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        content[start : start + length] = (bytes(length), noise, b"")[trial % 3]
        path.write_bytes(content if trial % 3 < 2 else content[:start])
        ours, rule = reason(clips.read_clip, path, indices), reason(from_start_to_end, path, indices)
        counts[bool(ours), bool(rule)] += 1
        if not ours:
            right = whole if rule else from_start_to_end(path, indices)
            np.testing.assert_array_equal(clips.read_clip(path, indices), right)
    assert counts[True, True] >= 10 and counts[False, False] >= 5
    assert counts[True, False] == 0 and counts[False, True] <= 3


def reason(read: Callable[[Path, np.ndarray], object], path: Path, indices: np.ndarray) -> str:
    """Why a file cannot be read, "" where it can."""
    try:
        read(path, indices)
    except clips.Unreadable as error:
        assert error.reason and str(path.parent) not in error.reason
        return error.reason
    return ""


def from_start_to_end(path: Path, indices: np.ndarray) -> np.ndarray:
    return decoding.read_frames(StartToEnd(path), indices)


def test_what_a_packet_does_not_give_comes_from_the_start(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", KINDS["h264"])
    with decoding.opened(path) as reader:
        reader._decoder = Deaf(reader._decoder, [])
        np.testing.assert_array_equal(reader.read(np.array([3, 9])), shown(path)[[3, 9]])
        assert len(reader._decoder.seen) > 0


@pytest.mark.parametrize("name, kind", [("a.mp4", "h264 B-frames"), ("a.mkv", "h264"), ("a.mp4", "hevc B-frames")])
@pytest.mark.parametrize("lost", [12, 14])
def test_a_lost_packet_costs_the_frames_that_need_it(tmp_path: Path, name: str, kind: str, lost: int) -> None:
    """The check finds fewer frames than packets, or another one; frames are counted as they are shown."""
    path = copied(write(tmp_path / f"whole-{name}", KINDS[kind]), tmp_path / name, lost=lost)
    right, found = shown(path), clips.inspect_video(path)
    assert found.n_frames == len(right) < 40
    if len(right) < 39:
        assert (found.reader, found.why) == (START_TO_END, f"packets gives 39 frames instead of {len(right)}")
    indices = clips.frame_indices(len(right), 8)
    np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])


class Deaf(Spy):
    """A decoder that gives nothing back."""

    def decode(self, packet: object) -> list:
        super().decode(packet)
        return []


# Pixels differ from file to file in what swscale makes of them: size, range, depth, times.
PICTURES = {
    "full range": ("a.mp4", replace(KINDS["h264"], pix_fmt="yuvj420p"), {}),
    "10 bits": ("a.mp4", replace(KINDS["h264"], pix_fmt="yuv420p10le"), {}),
    "width no multiple of 8": ("a.mp4", KINDS["h264"], {"size": (106, 82)}),
    "odd width": ("a.webm", KINDS["vp9"], {"size": (113, 80)}),
    "odd height": ("a.webm", KINDS["vp9"], {"size": (112, 81)}),
    "variable rate": ("a.mp4", KINDS["h264 B-frames"], {"time_ms": lambda i: 20 * min(i, 20) + 200 * max(i - 20, 0)}),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pixels_are_those_of_the_rule(tmp_path: Path, case: str) -> None:
    name, kind, choices = PICTURES[case]
    path = write(tmp_path / name, kind, **choices)
    assert decoding.way_of(path).reader == PACKETS
    right = shown(path)
    for indices in (np.arange(40), np.array([3, 4, 30]), np.array([39]), clips.frame_indices(40, 8)):
        np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])


def test_the_mini_world_is_read_by_packets(tmp_path: Path) -> None:
    """But for its avi files; all look as decoding from start to end shows them."""
    world.tiny(tmp_path)
    paths = [path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".avi", ".mp4", ".webm")]
    assert {path.suffix for path in paths} == {".avi", ".mp4", ".webm"}
    for path in paths:
        right = shown(path)
        assert decoding.way_of(path).reader == (START_TO_END if path.suffix == ".avi" else PACKETS)
        indices = clips.frame_indices(len(right), 16)
        np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])
