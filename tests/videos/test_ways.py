"""Every way of reading gives, frame by frame and bit by bit, what a decoder shows from start to end, over all codecs
and containers, and does so every time.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.coded import KINDS, copied, number, shown, write, x264
from tests.videos.test_clips import rotated
from vidprism.videos import clips, decoding, ways
from vidprism.videos.sequential import StartToEnd
from vidprism.videos.ways import PACKETS, START_TO_END

pytestmark = pytest.mark.slow

CONTAINERS = {
    "avi": [kind for kind in KINDS if not kind.startswith("hevc")],
    "mp4": [kind for kind in KINDS if kind not in ("msmpeg4", "vp8")],
    "mov": [kind for kind in KINDS if not kind.startswith(("vp8", "vp9", "av1"))],
    "mkv": [*KINDS],
    "webm": ["vp8", "vp9", "vp9 hidden frames", "av1"],
    "mpg": [kind for kind in KINDS if kind.startswith(("mpeg", "h264", "hevc"))],
    "ts": [kind for kind in KINDS if kind.startswith(("mpeg", "h264", "hevc"))],
}
MATRIX = [(kind, container) for container, kinds in CONTAINERS.items() for kind in kinds]
FAST = ("h264", "h264 key frames", "h264 B-frames", "h264 pyramid", "hevc", "hevc B-frames", "vp9", "vp9 hidden frames")


def requests(n_frames: int) -> list[np.ndarray]:
    """All frames, every 13th from each of the first 13, only the last one, and the frames of a clip of 8."""
    apart = [np.arange(first, n_frames, 13) for first in range(min(13, n_frames))]
    return [np.arange(n_frames), *apart, np.array([n_frames - 1]), clips.frame_indices(n_frames, 8)]


@pytest.mark.parametrize("kind, container", MATRIX, ids=lambda value: value)
def test_every_way_shows_what_a_decoder_shows(tmp_path: Path, kind: str, container: str) -> None:
    path = write(tmp_path / f"a.{container}", KINDS[kind])
    right = shown(path)
    assert [number(pixels) for pixels in right] == list(range(40)), "the test reads its own files right"
    found = clips.inspect_video(path)
    is_fast = kind in FAST and container in ("mp4", "mov", "mkv", "webm")
    assert (found.n_frames, found.reader) == (40, PACKETS if is_fast else START_TO_END) and found.why
    for indices in requests(40):
        np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])
    np.testing.assert_array_equal(np.concatenate(list(decoding.all_frames(path))), right)
    assert not is_fast or decoding.difference_by_packets(path, StartToEnd(path), full=True) == "", "decord agrees"


OBSTACLES = {
    "interlaced": (x264("interlaced=1"), {}, "interlaced"),
    "no key frames but the first": (x264("intra-refresh=1"), {}, "groups of pictures need their neighbours"),
    "several streams": (KINDS["h264"], {"n_others": 1}, "several streams of pictures"),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_stands_in_the_way_is_named(tmp_path: Path, case: str) -> None:
    kind, choices, why = OBSTACLES[case]
    path = write(tmp_path / "a.mp4", kind, **choices)
    way = decoding.way_of(path)
    assert (way.reader, way.why) == (START_TO_END, why)
    right = shown(path)
    for indices in requests(len(right)):
        np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])


def test_a_key_frame_must_be_one_in_the_stream_too(tmp_path: Path) -> None:
    """The container calls frames 5 and 17 of an HEVC file key frames: reading would begin there."""
    path = tmp_path / "a.mp4"
    with av.open(str(write(tmp_path / "whole.mp4", KINDS["hevc"]))) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for i, packet in enumerate(packet for packet in old.demux(old.streams.video[0]) if packet.size):
            packet.stream, packet.is_keyframe = stream, packet.is_keyframe or i in (5, 17)
            new.mux(packet)
    assert decoding.way_of(path).why == "hevc key frames that other frames refer across"
    np.testing.assert_array_equal(clips.read_clip(path, [5, 6, 20]), shown(path)[[5, 6, 20]])


def test_turned_and_large_files_are_read_from_start_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", KINDS["h264"], size=(320, 240))
    assert decoding.way_of(path).reader == PACKETS
    monkeypatch.setattr(ways, "MOST_BYTES", path.stat().st_size - 1)
    assert decoding.way_of(path).why == "more than 0 MiB"
    monkeypatch.undo()
    assert decoding.way_of(rotated(path)).why == "turned or mirrored by its header"


def test_a_decoder_must_wait_long_enough_for_late_packets() -> None:
    """In the order I P B b b of a pyramid the third picture to show is the last packet: two others are held back."""
    packets = [SimpleNamespace(pts=time, is_keyframe=not time) for time in (0, 4, 2, 1, 3)]
    assert ways._of_order(packets, 2) == "" and ways._of_order(packets, 1) == "reordered more than its header says"


READ = {
    "mpeg4 B-frames.avi": START_TO_END,
    "h264.avi": START_TO_END,
    "mpeg2 B-frames.mpg": START_TO_END,
    "hevc open groups.mp4": START_TO_END,
    "h264 pyramid.mp4": PACKETS,
    "vp9 hidden frames.webm": PACKETS,
    "hevc B-frames.mp4": PACKETS,
}


def read_often(path: Path, times: int) -> set[bytes]:
    """The distinct answers to one request; the last frame is where decord went wrong from time to time."""
    indices = np.append(clips.frame_indices(40, 8), 39)
    return {clips.read_clip(path, indices).tobytes() for _ in range(times)}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.long)])
def test_the_same_request_gives_the_same_bytes(tmp_path: Path, name: str, times: int) -> None:
    path = write(tmp_path / name, KINDS[Path(name).stem])
    assert decoding.way_of(path).reader == READ[name]
    right = shown(path)[np.append(clips.frame_indices(40, 8), 39)].tobytes()
    assert read_often(path, times) == {right}
    with ThreadPoolExecutor(4) as pool:
        assert set().union(*pool.map(read_often, [path] * 4, [times // 4] * 4)) == {right}


def test_processes_read_the_same(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, KINDS[Path(name).stem]) for name in READ]
    right = [shown(path)[np.append(clips.frame_indices(40, 8), 39)].tobytes() for path in paths]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):
            assert list(pool.map(read_often, paths, [3] * len(paths))) == [{found} for found in right]


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    """Ten frames before the visible start, as cutting without encoding leaves them: 30 are shown, 10 to 39 in order."""
    kind = x264("bframes=2:keyint=20:min-keyint=20:scenecut=0", key_every=20)
    path = copied(write(tmp_path / "whole.mp4", kind), tmp_path / "cut.mp4", shift_frames=10)
    found = clips.inspect_video(path)
    assert (found.n_frames, found.reader, found.why) == (30, START_TO_END, "frames hidden by an edit list")
    wanted = clips.frame_indices(30, 8)
    assert [number(pixels) for pixels in clips.read_clip(path, wanted)] == [11, 15, 19, 23, 26, 30, 34, 38]
    assert [number(pixels) for pixels in clips.read_clip(path, range(30))] == list(range(10, 40))


@pytest.mark.parametrize("kind", ["mpeg4", "mpeg4 B-frames", "h264 open groups", "hevc B-frames", "vp9"])
@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("n_hidden", [7, 12, 14])
def test_edit_lists_hide_frames_of_every_codec(tmp_path: Path, kind: str, container: str, n_hidden: int) -> None:
    """Up to a key frame and beyond it: FFmpeg then leaves the packets of the first group out altogether."""
    if (kind, container) == ("vp9", "mov"):
        container = "mp4"
    whole = write(tmp_path / f"whole.{container}", KINDS[kind])
    path = copied(whole, tmp_path / f"cut.{container}", shift_frames=n_hidden)
    right = shown(path)
    assert clips.inspect_video(path).n_frames == len(right) <= 40 - n_hidden + 1
    np.testing.assert_array_equal(clips.read_clip(path, range(len(right))), right)
    indices = clips.frame_indices(len(right), 8)
    np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])
