"""Videos with several names: what counts once, what stays, and what is reported."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidprism.datasets import Video
from vidprism.videos.duplicates import drop_duplicates, first_of_file, list_checks


def videos(root: Path, *listed: tuple[str, str]) -> list[Video]:
    """(id, split) of videos of one class, with a file of their own each unless there is one."""
    (root / "videos").mkdir(exist_ok=True)
    for video_id, _ in listed:
        path = root / "videos" / f"{video_id}.avi"
        if not path.is_symlink():
            path.write_text(video_id)
    return [Video(video_id, f"{video_id}.avi", 0, "run", split) for video_id, split in listed]


def link(root: Path, name: str, to: str) -> None:
    (root / "videos").mkdir(exist_ok=True)
    (root / "videos" / f"{name}.avi").symlink_to(root / "videos" / f"{to}.avi")


def kept(listed: list[Video], firsts: dict[str, str]) -> list[tuple[str, str]]:
    return [(v.video_id, v.split) for v in drop_duplicates(listed, firsts)]


def test_a_chain_of_links_is_one_file(tmp_path: Path) -> None:
    link(tmp_path, "b", "a")
    link(tmp_path, "c", "b")
    listed = videos(tmp_path, ("a", "train"), ("x", "train"), ("b", "train"), ("c", "test"))
    firsts = first_of_file(tmp_path, listed)
    assert firsts == {"a": "a", "x": "x", "b": "a", "c": "a"}
    assert kept(listed, firsts) == [("x", "train"), ("c", "test")], "all of it is tested on"
    checks = list_checks(listed, firsts)
    assert checks["train_test_overlap"] == ["a"] and checks["same_file"] == [["a", "b", "c"]]


def test_without_links_nothing_is_dropped(tmp_path: Path) -> None:
    listed = videos(tmp_path, ("a", "train"), ("b", "train"), ("c", "test"))
    firsts = first_of_file(tmp_path, listed)
    assert kept(listed, firsts) == [("a", "train"), ("b", "train"), ("c", "test")]
    assert not any(list_checks(listed, firsts).values())


def test_a_file_system_without_numbers_of_files_makes_no_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = videos(tmp_path, ("a", "train"), ("b", "train"), ("c", "test"))
    status = SimpleNamespace(st_dev=1, st_ino=0, st_size=9, st_mtime_ns=5)
    monkeypatch.setattr(os, "stat", lambda path: status)
    assert first_of_file(tmp_path, listed) == {"a": "a", "b": "b", "c": "c"}


def test_links_to_one_empty_file_are_broken_videos_each(tmp_path: Path) -> None:
    link(tmp_path, "b", "a")
    listed = videos(tmp_path, ("a", "train"), ("b", "test"), ("gone", "test"))
    (tmp_path / "videos" / "a.avi").write_text("")
    (tmp_path / "videos" / "gone.avi").unlink()
    assert first_of_file(tmp_path, listed) == {"a": "a", "b": "b", "gone": "gone"}
