"""Errors about files that are not videos, complete and incomplete files, and rotated pictures."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.coded import KINDS, number, shown, write
from vidprism.videos import clips, container

IMPOSTORS = {
    b"<!DOCTYPE html><html><head><title>404</title></head></html>": "not a video but an HTML page",
    b"\xef\xbb\xbf\n  <HTML><body>Sign in</body></HTML>": "not a video but an HTML page",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "not a video but an XML document",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n": "not a video but a Git LFS pointer",
    b"RIFF\x24\x00\x00\x00WAVEfmt ": "not a video",
    b"": "empty file",
}


@pytest.mark.parametrize("content", IMPOSTORS, ids=[*IMPOSTORS.values()])
def test_what_is_no_video_is_called_what_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    for read in (clips.inspect_video, lambda path: clips.read_clip(path, [0])):
        with pytest.raises(clips.Unreadable) as caught:
            read(path)
        assert caught.value.reason.startswith(IMPOSTORS[content])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_is_no_video(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.avi", kind)
    with pytest.raises(clips.Unreadable, match="not a video but a picture"):
        clips.inspect_video(tmp_path / "a.avi")


OF = {"mp4": "h264", "mkv": "h264", "webm": "vp9", "avi": "mpeg4", "mov": "mpeg4", "ts": "h264", "mpg": "mpeg2"}
TIMES = {
    "start": lambda i: 4000 + 40 * i,
    "late start": lambda i: 100_000 + 40 * i,
    "jitter": lambda i: 40 * i + (i * 7919) % 37,
    "slow end": lambda i: 20 * min(i, 25) + 400 * max(i - 25, 0),
}
WHOLE = [(name, {"sound_sec": 6.0}) for name in OF] + [(name, {"sound_sec": 0.5}) for name in OF]
WHOLE += [(name, {"n_others": 1}) for name in OF]
WHOLE += [(name, {"time_ms": time}) for name in ("mp4", "mkv", "webm", "ts") for time in TIMES.values()]


@pytest.mark.parametrize("name, choices", WHOLE)
def test_a_sound_file_is_not_called_cut_off(tmp_path: Path, name: str, choices: dict) -> None:
    """Longer and shorter sound, a second stream of pictures, starts of seconds, times that jitter or slow down."""
    path = write(tmp_path / f"a.{name}", KINDS[OF[name]], **choices)
    found, right = clips.inspect_video(path), shown(path)
    assert found.n_frames == len(right) == 40
    indices = clips.frame_indices(40, 8)
    np.testing.assert_array_equal(clips.read_clip(path, indices), right[indices])
    assert [number(pixels) for pixels in clips.read_clip(path, indices)] == indices.tolist()


CUT = [("mkv", {}), ("webm", {}), ("avi", {}), ("mp4", {}), ("mkv", {"sound_sec": 6.0}), ("avi", {"sound_sec": 0.5})]
CUT += [("webm", {"time_ms": time}) for time in TIMES.values()]


@pytest.mark.parametrize("name, choices", CUT)
def test_a_cut_file_is_found(tmp_path: Path, name: str, choices: dict) -> None:
    path = write(tmp_path / f"a.{name}", KINDS[OF[name]], **choices)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    with pytest.raises(clips.Unreadable, match=r"damaged or cut off: |not a video that FFmpeg can open"):
        clips.inspect_video(path)


def test_frames_that_an_avi_left_out_are_not_missing(tmp_path: Path) -> None:
    """A gap of half its length, as recorders leave where they could not keep up."""
    path = tmp_path / "a.avi"
    with av.open(str(write(tmp_path / "whole.avi", KINDS["mpeg4"]))) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for i, packet in enumerate(packet for packet in old.demux(old.streams.video[0]) if packet.size):
            packet.stream = stream
            packet.pts = packet.dts = i + 20 * (i >= 20)
            new.mux(packet)
    with av.open(str(path)) as file:
        assert file.streams.video[0].frames == 60, "the header counts them"
    assert clips.inspect_video(path).n_frames == 40
    np.testing.assert_array_equal(clips.read_clip(path, range(40)), shown(path))


def test_a_cover_is_not_the_video(tmp_path: Path) -> None:
    """The first stream is one picture, marked as the cover."""
    path = write(tmp_path / "movie.mp4", KINDS["h264"])
    with av.open(str(path)) as old, av.open(str(tmp_path / "a.mp4"), "w") as new:
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = new.add_stream_from_template(old.streams.video[0])
        new.mux(cover.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8), format="rgb24")))
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    found = clips.inspect_video(tmp_path / "a.mp4")
    assert (found.n_frames, found.width_px) == (40, 112)
    np.testing.assert_array_equal(clips.read_clip(tmp_path / "a.mp4", [3, 17]), shown(path)[[3, 17]])


TURNS = {
    "half a turn": ((-1, 0, 0, -1), lambda pixels: pixels[::-1, ::-1]),
    "a quarter, clockwise": ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),
    "a quarter, anticlockwise": ((0, -1, 1, 0), np.rot90),
    "left and right swapped": ((-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda pixels: pixels[::-1]),
    "mirrored along the diagonal": ((0, 1, 1, 0), lambda pixels: pixels.swapaxes(0, 1)),
    "along the other diagonal": ((0, -1, -1, 0), lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_pictures_are_turned_as_the_header_says(turn: str) -> None:
    (a, b, c, d), wanted = TURNS[turn]
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    matrix = np.array([[a, b, 0], [c, d, 0], [0, 0, 1]]) << 16
    np.testing.assert_array_equal(container._upright(pixels, matrix), wanted(pixels))
