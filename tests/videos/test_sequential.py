"""Decoding from start to end: what is counted, how a file must begin, and where damage ends it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.coded import KINDS, copied, number, shown, write
from vidprism.videos import clips, decoding, sequential
from vidprism.videos.sequential import StartToEnd


def numbers(path: Path) -> list[int]:
    """What the suite reads of a file, whose frames it counts."""
    return [number(pixels) for pixels in clips.read_clip(path, range(clips.inspect_video(path).n_frames))]


@pytest.mark.parametrize("kept_bytes", [0, 10**5, 10**9])
def test_counting_does_not_change_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_bytes: int
) -> None:
    """Whether none, some or all of the frames fit into what may be kept."""
    monkeypatch.setattr(sequential, "KEPT_BYTES", kept_bytes)
    path = write(tmp_path / "a.avi", KINDS["mpeg4 B-frames"])
    counted, right = StartToEnd(path), shown(path)
    assert len(counted) == 40 and len(counted._kept) == (40 if kept_bytes == 10**9 else 0)
    for frames in (counted, StartToEnd(path)):
        np.testing.assert_array_equal(frames.read(np.array([0, 7, 39])), right[[0, 7, 39]])
        with pytest.raises(sequential.MissingFrameError, match="1 of 2 frames are missing"):
            frames.read(np.array([39, 40]))


def test_av1_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", KINDS["av1"])
    assert numbers(path) == list(range(40)) and clips.inspect_video(path).why == "codec libdav1d"


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="only Linux tells how a process is scheduled")
@pytest.mark.parametrize("kind", KINDS)
def test_no_encoder_changes_how_the_tests_are_scheduled(tmp_path: Path, kind: str) -> None:
    """Run by root, SVT-AV1 does: the browser tests after it then stopped whole machines."""
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    write(tmp_path / "a.mkv", KINDS[kind], n_frames=4)
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before == (os.SCHED_OTHER, 0)


@pytest.mark.parametrize(
    "kind, name",
    [
        ("h264", "a.avi"),
        ("h264 B-frames", "a.mp4"),
        ("h264 open groups", "a.mkv"),
        ("hevc open groups", "a.mkv"),
        ("mpeg2 B-frames", "a.mpg"),
    ],
)
def test_what_comes_before_the_first_key_frame_is_not_counted(tmp_path: Path, kind: str, name: str) -> None:
    """Without its first five packets a file shows frames 12 to 39, in order."""
    whole = write(tmp_path / f"whole{Path(name).suffix}", KINDS[kind])
    assert numbers(copied(whole, tmp_path / name, skip=5)) == list(range(12, 40))


@pytest.mark.parametrize("kind, name", [("mpeg4", "a.avi"), ("mpeg4 B-frames", "a.mp4"), ("msmpeg4", "a.avi")])
def test_pictures_that_begin_grey_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    whole = write(tmp_path / f"whole{Path(name).suffix}", KINDS[kind])
    path = copied(whole, tmp_path / name, skip=5)
    with pytest.raises(clips.Unreadable, match="does not begin with a key frame, without which"):
        clips.inspect_video(path)


def test_a_start_that_does_not_decode_is_a_reason(tmp_path: Path) -> None:
    path = copied(write(tmp_path / "whole.webm", KINDS["vp9"]), tmp_path / "a.webm", skip=5)
    for read in (clips.inspect_video, lambda path: clips.read_clip(path, [0, 7])):
        with pytest.raises(clips.Unreadable, match="damaged or cut off: 0 of 35 frames decode"):
            read(path)


@pytest.mark.slow
@pytest.mark.parametrize("bad, n_frames", [(38, 38), (20, None)])
def test_damage_at_the_end_costs_the_frames_after_it(tmp_path: Path, bad: int, n_frames: int | None) -> None:
    """A packet of noise: if 90 % of the frames come before it, they are the video; otherwise there is none."""
    path = write(tmp_path / "a.mkv", KINDS["vp8"])
    whole, content = shown(path), bytearray(path.read_bytes())
    at = packet_places(path, bytes(content))[bad]
    content[at : at + 10] = b"\xff" * 10
    path.write_bytes(bytes(content))
    if n_frames is None:
        with pytest.raises(clips.Unreadable, match=rf"damaged or cut off: {bad} of 40 frames decode"):
            clips.inspect_video(path)
    else:
        assert clips.inspect_video(path).n_frames == n_frames
        np.testing.assert_array_equal(clips.read_clip(path, range(n_frames)), whole[:n_frames])
        np.testing.assert_array_equal(np.concatenate(list(decoding.all_frames(path))), whole[:n_frames])


def packet_places(path: Path, content: bytes) -> list[int]:
    """Where in a file the packets lie."""
    with sequential.open_video(path) as (file, stream):
        return [content.index(bytes(packet)) for packet in file.demux(stream) if packet.size]


def test_files_that_do_not_need_decord_are_read_without_it(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.avi", KINDS["mpeg4"]), write(tmp_path / "b.mp4", KINDS["h264"])]
    program = (
        "import sys; sys.modules['decord'] = None; from pathlib import Path; from vidprism.videos.clips import *\n"
        "for path in map(Path, sys.argv[1:]): assert inspect_video(path).n_frames == len(read_clip(path, range(40)))"
    )
    root = Path(clips.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program, *map(str, paths)], cwd=root).returncode == 0
