"""Sampling against slow, obvious versions; views; and every kind of bad file."""

import math
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tools.miniature import write_video
from vidprism.videos import clips


def centre_of_segments(n: int, t: int, clip: int, n_clips: int) -> list[int]:
    """Exact fractions: segment i is [i n/T, (i+1) n/T); clip k of K sits at (k + 1/2)/K of it."""
    length = Fraction(n, t)
    return [math.floor(i * length + length * Fraction(2 * clip + 1, 2 * n_clips)) for i in range(t)]


def start_of_segments(n: int, t: int, clip: int, n_clips: int) -> list[int]:
    """Exact fractions: from the start of segment i, K offsets evenly from 0 to its length - 1."""
    length = Fraction(n, t)
    offset = max(length - 1, 0) * Fraction(clip, n_clips - 1) if n_clips > 1 else 0
    return [min(math.floor(i * length + offset), n - 1) for i in range(t)]


def dense_window(n: int, t: int, clip: int, n_clips: int) -> list[int]:
    room = max(0, n - ((t - 1) * clips.DENSE_STRIDE + 1))
    start = room // 2 if n_clips == 1 else (room * clip) // (n_clips - 1)
    return [min(start + i * clips.DENSE_STRIDE, n - 1) for i in range(t)]


SLOW = {"segment_center": centre_of_segments, "segment_start": start_of_segments, "dense": dense_window}


@pytest.mark.parametrize("sampling", SLOW)
def test_sampling_equals_slow_version(sampling: str) -> None:
    for n in (1, 2, 5, 7, 8, 31, 32, 33, 40, 100, 301):
        for t in (1, 8, 16, 32):
            for n_clips in (1, 2, 3, 4, 10):
                for clip in range(n_clips):
                    got = clips.frame_indices(n, t, sampling, clip, n_clips)
                    assert got.tolist() == SLOW[sampling](n, t, clip, n_clips), (n, t, clip, n_clips)


def test_one_centre_clip_is_the_published_rule() -> None:
    """mmaction2's test mode on 40 frames, 8 segments of 5: the middle frame of each."""
    assert clips.frame_indices(40, 8).tolist() == [2, 7, 12, 17, 22, 27, 32, 37]
    assert clips.frame_indices(40, 8, "segment_start").tolist() == [0, 5, 10, 15, 20, 25, 30, 35]


def test_random_frames_stay_in_their_segments() -> None:
    rng = np.random.default_rng(0)
    draws = np.stack([clips.frame_indices(40, 8, "segment_random", rng=rng) for _ in range(400)])
    assert all(set(draws[:, i]) == set(range(5 * i, 5 * i + 5)) for i in range(8))


def test_short_video_repeats_its_frames_evenly() -> None:
    assert clips.frame_indices(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert clips.frame_indices(3, 8, "segment_start").tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    rng = np.random.default_rng(0)
    assert set(clips.frame_indices(3, 8, "segment_random", rng=rng).tolist()) == {0, 1, 2}


def test_a_random_dense_window_starts_anywhere() -> None:
    for n in (1, 20, 29, 30, 100):
        rng, same = np.random.default_rng(3), np.random.default_rng(3)
        room, starts = max(0, n - 29), set()
        for _ in range(2000):
            start = int(same.integers(room + 1))
            got = clips.frame_indices(n, 8, "dense", rng=rng).tolist()
            assert got == [min(start + i * clips.DENSE_STRIDE, n - 1) for i in range(8)]
            starts.add(start)
        assert starts <= set(range(room + 1)) and {0, room} <= starts


def test_dense_window_beyond_the_end_repeats_the_last_frame() -> None:
    assert clips.frame_indices(10, 4, "dense").tolist() == [0, 4, 8, 9]


def test_clips_of_one_video_differ_and_cover_it() -> None:
    seen = {i for clip in range(5) for i in clips.frame_indices(40, 8, clip=clip, n_clips=5)}
    assert seen == set(range(40))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: clips.frame_indices(40, 8, "segment_centre"), "did you mean 'segment_center'"),
        (lambda: clips.frame_indices(0, 8), "from a video of 0"),
        (lambda: clips.frame_indices(40, 8, clip=2, n_clips=2), "clip 2 of 2"),
        (lambda: clips.frame_indices(40, 8, "segment_random"), "random generator"),
        (lambda: clips.spatial_views(np.zeros((1, 8, 8, 3), np.uint8), 8, 2), "n_crops must be 1 or 3"),
        (
            lambda: clips.spatial_views(np.zeros((1, 8, 8, 3), np.uint8), 4, 1, "linear"),
            "did you mean 'bilinear'",
        ),
    ],
)
def test_wrong_choices_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def picture(height: int, width: int) -> np.ndarray:
    """One frame whose pixel value tells its place: row in red, column in green."""
    frame = np.zeros((1, height, width, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(height)[:, None], np.arange(width)[None]
    return frame


def test_three_crops_of_landscape_and_portrait() -> None:
    wide = clips.spatial_views(picture(48, 64), 48, 3)
    assert wide.shape == (3, 1, 48, 48, 3)
    assert wide[:, 0, 0, 0, 1].tolist() == [0, 8, 16] and wide[:, 0, 0, 0, 0].tolist() == [0, 0, 0]
    tall = clips.spatial_views(picture(64, 48), 48, 3)
    assert tall[:, 0, 0, 0, 0].tolist() == [0, 8, 16] and tall[:, 0, 0, 0, 1].tolist() == [0, 0, 0]
    assert np.array_equal(clips.spatial_views(picture(48, 64), 48)[0], wide[1])


@pytest.mark.parametrize("resize", clips.RESIZES)
def test_resize_keeps_shape_and_smooths(resize: str) -> None:
    stripes = np.zeros((2, 96, 128, 3), np.uint8)
    stripes[:, :, ::2] = 200
    small = clips.spatial_views(stripes, 48, 1, resize)
    assert small.shape == (1, 2, 48, 48, 3) and abs(int(small.mean()) - 100) <= 2
    assert small.std() < 25, "without anti-aliasing the stripes would alias"
    assert clips.spatial_views(picture(97, 131), 48).shape == (1, 1, 48, 48, 3)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.webm", "-a #1;&[x]!'(y) é.avi"])
def test_reads_the_frames_it_is_asked_for(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, n_frames=30)
    found = clips.inspect_video(path)
    assert (found.n_frames, found.fps, found.width_px, found.height_px) == (30, 25.0, 64, 48)
    frames = clips.read_clip(path, [29, 3, 3, 17])
    assert frames.shape == (4, 48, 64, 3) and frames.dtype == np.uint8
    assert np.abs(frames[:, 10:-10, 5:20].mean(axis=(1, 2, 3)) - [194, 38, 38, 122]).max() < 4


def test_views_are_clips_by_crops(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", n_frames=20)
    views = clips.load_views(path, 4, n_clips=2, n_crops=3, size_px=24)
    assert views.shape == (6, 4, 24, 24, 3)
    for clip in range(2):
        frames = clips.read_clip(path, clips.frame_indices(20, 4, clip=clip, n_clips=2))
        assert np.array_equal(views[3 * clip : 3 * clip + 3], clips.spatial_views(frames, 24, 3))


def test_one_read_serves_all_frame_counts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", n_frames=20)
    crops, positions = clips.read_views(path, (4, 8), 2, 1, 48)
    assert crops.shape[1] == len({*positions[4].ravel(), *positions[8].ravel()}) <= 20
    for t in (4, 8):
        assert np.array_equal(crops[0][positions[t]], clips.load_views(path, t, 2, 1, 48))


def bad_files(folder: Path) -> dict[str, Path]:
    good = write_video(folder / "good.mp4", n_frames=30).read_bytes()
    contents = {
        "empty": b"",
        "text": b"this is no video\n",
        "html": b"<html><body>404 Not Found</body></html>",
        "cut": good[: len(good) // 2],
        "ten_bytes": good[:10],
        "noise": bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)),
    }
    for name, content in contents.items():
        (folder / f"{name}.mp4").write_bytes(content)
    (folder / "folder.mp4").mkdir()
    return {name: folder / f"{name}.mp4" for name in (*contents, "missing", "folder")}


@pytest.mark.parametrize("kind", ["empty", "text", "html", "cut", "ten_bytes", "noise", "missing", "folder"])
def test_bad_files_say_why(tmp_path: Path, kind: str) -> None:
    path = bad_files(tmp_path)[kind]
    for read in (clips.inspect_video, lambda p: clips.load_views(p, 8, 1, 1, 48)):
        with pytest.raises(clips.Unreadable) as caught:
            read(path)
        assert caught.value.reason and str(tmp_path) not in caught.value.reason
    expected = {"empty": "empty file", "missing": "missing file", "folder": "missing file"}
    assert expected.get(kind, "not a video") in caught.value.reason


@pytest.mark.parametrize("suffix", [".avi", ".webm", ".mp4"])
def test_file_cut_in_half_is_not_a_shorter_video(tmp_path: Path, suffix: str) -> None:
    """Decoders silently open half an avi or webm."""
    path = write_video(tmp_path / f"a{suffix}", n_frames=60)
    assert clips.inspect_video(path).n_frames == 60
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(clips.Unreadable, match=r"damaged or cut off|not a video"):
        clips.inspect_video(path)


@pytest.mark.parametrize("suffix", [".avi", ".webm", ".mp4"])
def test_zeroed_middle_is_found(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", n_frames=60)
    content = bytearray(path.read_bytes())
    start, end = int(0.4 * len(content)), int(0.6 * len(content))
    content[start:end] = bytes(end - start)
    path.write_bytes(bytes(content))
    with pytest.raises(clips.Unreadable):
        clips.inspect_video(path)


def test_frame_that_does_not_decode_is_found_when_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", n_frames=60)
    content = bytearray(path.read_bytes())
    start = len(content) // 2
    content[start : start + len(content) // 20] = bytes(len(content) // 20)
    path.write_bytes(bytes(content))
    with pytest.raises(clips.Unreadable, match=r"damaged or cut off: \d+ of 60 frames decode"):
        clips.read_clip(path, range(60))


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", n_frames=1)
    assert clips.inspect_video(path).n_frames == 1
    views = clips.load_views(path, 8, 2, 3, 32)
    assert views.shape == (6, 8, 32, 32, 3) and (views[:, :1] == views).all()


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16_000)
        for i in range(20):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16_000, 1024 * i
            file.mux(stream.encode(sound))
        file.mux(stream.encode())
    with pytest.raises(clips.Unreadable, match="not a video"):
        clips.inspect_video(path)


def test_variable_frame_rate_is_read_by_frame_number(tmp_path: Path) -> None:
    """20 frames of 20 ms, then 20 of 200 ms: positions count frames, not seconds, and none is repeated or dropped."""
    path, tick = tmp_path / "a.mp4", Fraction(1, 1000)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.time_base = 64, 48, "yuv420p", tick
        for i in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * i, np.uint8), format="rgb24")
            frame.time_base, frame.pts = tick, 20 * min(i, 20) + 200 * max(i - 20, 0)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert clips.inspect_video(path).n_frames == 40
    shades = clips.read_clip(path, range(40)).mean(axis=(1, 2, 3))
    assert np.abs(shades - 5 * np.arange(40)).max() < 4


def rotated(path: Path) -> Path:
    """The video with a note in its header that says: show me turned by 90 degrees, as phones write it."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16  # of a version 0 box: ISO/IEC 14496-12, 8.3.2
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    assert content[matrix : matrix + 36] == upright
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 240 << 16, 0, 1 << 30)
    path.write_bytes(bytes(content))
    return path


def test_a_rotated_video_is_read_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", size=(320, 240))
    flat = clips.read_clip(path, [3])
    assert (clips.read_clip(rotated(path), [3]) == np.rot90(flat, -1, axes=(1, 2))).all()
    found = clips.inspect_video(path)
    assert (found.width_px, found.height_px) == (240, 320)


def test_a_small_turned_video_is_read_upright(tmp_path: Path) -> None:
    """decord failed at widths of 16, 24, 48 and 72 pixels."""
    path = rotated(write_video(tmp_path / "a.mp4", size=(64, 48)))
    found = clips.inspect_video(path)
    assert (found.width_px, found.height_px) == (48, 64)


def test_a_portrait_video_gets_three_different_crops(tmp_path: Path) -> None:
    """The dark half of the picture is on top once it is turned: top crop darker than centre, centre than bottom."""
    views = clips.load_views(rotated(write_video(tmp_path / "a.mp4", size=(320, 240))), 4, 1, 3, 64)
    top, centre, bottom = views.mean(axis=(1, 2, 3, 4))
    assert top + 1 < centre < bottom - 1
