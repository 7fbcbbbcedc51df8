"""The check of every video in worker processes: crashes, hangs, reuse, resuming after a kill."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.coded import KINDS, write
from tools.miniature import write_video
from vidprism.config import CheckConfig
from vidprism.videos import check as probing
from vidprism.videos.check import Facts
from vidprism.videos.decoding import DecordReader
from vidprism.videos.partial_decoding import PacketReader

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
QUICK = CheckConfig(processes=2, seconds_per_video=2.0)
FINE = Facts(7, 25.0, 64, 48, "start to end", "container avi", "")


def awkward(path: Path, decoding: str = "quick") -> Facts:
    """Stands in for the decoder in the workers: what a file does is its name. Counts its calls in a file."""
    with (path.parent / "calls.log").open("a") as log:
        log.write(f"{path.name}\n")
    word = path.stem.split("_")[0]
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "exit":
        os._exit(3)
    elif word == "hang":
        time.sleep(60)
    elif word == "error":
        raise RuntimeError(f"{path}: no more memory")
    elif word == "slow":
        time.sleep(0.05)
    return FINE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Facts]]:
    """Makes files and checks them with `awkward` for a decoder."""
    monkeypatch.setattr(probing, "video_facts", awkward)

    def check(*names: str) -> list[Facts]:
        for name in names:
            if not (tmp_path / name).exists():
                (tmp_path / name).touch()
        return probing.check_videos(tmp_path, names, tmp_path / "table.csv", QUICK)

    return check


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls.log"
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


def test_a_crash_or_a_hang_costs_one_row(tmp_path: Path, folder: Callable[..., list[Facts]]) -> None:
    names = ["a.avi", "crash.avi", "b.avi", "hang.avi", "exit.avi", *(f"c{i}.avi" for i in range(20))]
    found = dict(zip(names, folder(*names), strict=True))
    assert found["crash.avi"].reason == "decoder crashed (signal 11)"
    assert found["exit.avi"].reason == "decoder crashed (exit status 3)"
    assert found["hang.avi"].reason == "decoding took longer than 2 s"
    assert all(found[name] == FINE for name in names if name[0] in "abc" and name != "crash.avi")
    assert calls(tmp_path) == sorted(names)
    # what may be the machine's fault is tried again, and nothing else
    folder(*names)
    assert calls(tmp_path) == ["crash.avi", "exit.avi", "hang.avi"]


def test_a_file_is_checked_again_only_when_it_changed(tmp_path: Path, folder: Callable[..., list[Facts]]) -> None:
    names = ["a.avi", "b.avi", "c.avi"]
    assert folder(*names) == [FINE] * 3 and calls(tmp_path) == names
    assert folder(*names) == [FINE] * 3 and calls(tmp_path) == []
    (tmp_path / "a.avi").write_text("longer")
    os.utime(tmp_path / "b.avi", ns=(1, 1))
    assert folder(*names) == [FINE] * 3 and calls(tmp_path) == ["a.avi", "b.avi"]
    (tmp_path / "c.avi").unlink()
    probing.check_videos(tmp_path, names, tmp_path / "table.csv", QUICK)
    assert calls(tmp_path) == ["c.avi"]
    assert len(list(csv.reader((tmp_path / "table.csv").open()))) == 4  # the heading, and one row a path


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.write_bytes(table.read_bytes()[:-9]),
        lambda table: table.write_bytes(table.read_bytes() + b"2 quick,x.avi,0,"),
        lambda table: table.write_bytes(b"\0\xff no table\n" + table.read_bytes()),
        lambda table: table.write_text(table.read_text().replace("7,25.0", "seven,25.0", 1)),
        lambda table: table.write_text(table.read_text().replace("\n2 ", "\n0 ")),
        lambda table: table.write_bytes(b""),
        lambda table: table.write_text(table.read_text() + '2 quick,"x.avi,0,' + "y" * 200_000 + "\n"),
    ],
    ids=["cut off", "half a line more", "rubbish", "a damaged number", "another version", "empty", "an open quote"],
)
def test_a_damaged_table_costs_the_damaged_rows(
    tmp_path: Path, folder: Callable[..., list[Facts]], damage: Callable[[Path], object]
) -> None:
    names = ["a.avi", "b.avi", "c.avi"]
    folder(*names)
    calls(tmp_path)
    damage(tmp_path / "table.csv")
    assert folder(*names) == [FINE] * 3
    assert folder(*names) == [FINE] * 3 and len(set(calls(tmp_path))) <= 3
    assert calls(tmp_path) == []


def test_an_interrupted_run_goes_on_where_it_was_killed(tmp_path: Path, folder: Callable[..., list[Facts]]) -> None:
    names = [f"slow_{i:03d}.avi" for i in range(200)]
    for name in names:
        (tmp_path / name).touch()
    program = (
        "import sys; from pathlib import Path; from tests.videos import test_check as t\n"
        "from vidprism.videos import check as probing; probing.video_facts = t.awkward\n"
        "folder = Path(sys.argv[1]); names = sorted(p.name for p in folder.glob('*.avi'))\n"
        "probing.check_videos(folder, names, folder / 'table.csv', t.QUICK)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(probing.read_check_table(tmp_path / "table.csv")) < 30:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    first = len(calls(tmp_path))
    kept = len(probing.read_check_table(tmp_path / "table.csv"))
    assert 30 <= kept <= first < 200
    assert folder(*names) == [FINE] * 200
    again = len(calls(tmp_path))
    assert again == 200 - kept and first - kept <= 2 * probing.IN_FLIGHT


def test_few_videos_are_in_flight_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool without processes that counts the requests that have not been collected yet."""
    waiting, most = set(), []

    class Future:
        def __init__(self) -> None:
            waiting.add(self)

        def result(self) -> Facts:
            most.append(len(waiting))
            waiting.discard(self)
            return FINE

    class Pool:
        def __init__(self, *_: object, **__: object) -> None: ...
        def __enter__(self) -> "Pool":
            return self

        def __exit__(self, *_: object) -> None: ...
        def schedule(self, *_: object, **__: object) -> Future:
            return Future()

    monkeypatch.setattr(probing, "ProcessPool", Pool)
    names = [f"{i}.avi" for i in range(500)]
    assert probing.check_videos(tmp_path, names, tmp_path / "t.csv", QUICK) == [FINE] * 500
    assert max(most) == 2 * probing.IN_FLIGHT


def test_real_files(tmp_path: Path) -> None:
    write_video(tmp_path / "good.avi")
    (tmp_path / "zero.avi").touch()
    (tmp_path / "page.avi").write_text("<html>")
    (tmp_path / "folder.avi").mkdir()
    cut = write_video(tmp_path / "cut.mp4")
    cut.write_bytes(cut.read_bytes()[:700])
    names = ["good.avi", "zero.avi", "page.avi", "folder.avi", "cut.mp4", "missing.avi"]
    found = probing.check_videos(tmp_path, names, tmp_path / "table.csv", CheckConfig())
    assert found[0] == Facts(12, 25.0, 64, 48, "start to end", "container avi", "")
    assert all(facts.reason and facts[:4] == (0, 0.0, 0, 0) for facts in found[1:])
    assert "missing" in found[5].reason and str(tmp_path) not in "".join(facts.reason for facts in found)
    assert found == [probing.video_facts(tmp_path / name) for name in names]


def test_a_full_check_compares_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One way of reading is made to go wrong in its 34th frame: quick does not see it, full reads from start to end."""
    path, right = write(tmp_path / "a.mp4", KINDS["h264"]), PacketReader.read

    def wrong(self: PacketReader, indices: np.ndarray) -> np.ndarray:
        frames = right(self, indices)
        frames[indices == 33, 0, 0, 0] ^= 1
        return frames

    monkeypatch.setattr(PacketReader, "read", wrong)
    why = "h264 in mp4, groups of pictures stand alone"
    assert probing.video_facts(path) == Facts(40, 25.0, 112, 80, "packets", why, "")
    assert probing.video_facts(path, "full") == Facts(
        40, 25.0, 112, 80, "start to end", "packets gives another frame 33", ""
    )
    monkeypatch.setattr(PacketReader, "read", right)
    monkeypatch.setattr(PacketReader, "__len__", lambda self: 41)
    assert probing.video_facts(path, "full").why == "packets gives 41 frames instead of 40"
    monkeypatch.undo()
    assert probing.video_facts(path, "full") == probing.video_facts(path)
    monkeypatch.setattr(DecordReader, "__len__", lambda self: 39)
    assert probing.video_facts(path, "full").why == "decord gives 39 frames instead of 40"
    narrow = write(tmp_path / "narrow.mp4", KINDS["h264"], size=(72, 80))
    assert probing.video_facts(narrow, "full") == probing.video_facts(narrow), "decord does not read such a width"


def test_what_a_quick_check_found_does_not_stand_for_a_full_one(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", KINDS["h264"])
    table, full = tmp_path / "table.csv", dataclasses.replace(QUICK, decoding="full")
    for settings in (QUICK, full, QUICK):
        probing.check_videos(tmp_path, ["a.mp4"], table, settings)
        assert [len(probing.read_check_table(table, kind)) for kind in ("quick", "full")] == [
            settings == QUICK,
            settings == full,
        ]


def test_an_open_quote_costs_its_own_line(tmp_path: Path, folder: Callable[..., list[Facts]]) -> None:
    folder("a.avi", "b.avi", "c.avi")
    table = tmp_path / "table.csv"
    heading, first, *rest = table.read_text().splitlines()
    table.write_text("\n".join([heading, first.replace("a.avi", '"a.avi'), *rest]) + "\n")
    assert [name for name, _, _ in probing.read_check_table(table)] == ["b.avi", "c.avi"]


def test_an_unexpected_error_costs_one_row(tmp_path: Path, folder: Callable[..., list[Facts]]) -> None:
    names = ["a.avi", "error.avi", "b.avi"]
    reason = "check failed (RuntimeError: error.avi: no more memory)"
    assert [found.reason for found in folder(*names)] == ["", reason, ""]
    calls(tmp_path)
    folder(*names)
    assert calls(tmp_path) == ["error.avi"], "it may be the machine's fault: it is tried again"


def test_a_name_that_no_file_system_takes(tmp_path: Path) -> None:
    names = ["n" * 300 + ".avi", "missing.avi"]
    found = probing.check_videos(tmp_path, names, tmp_path / "table.csv", QUICK)
    assert "File name too long" in found[0].reason and found[1].reason == "missing file"
    assert str(tmp_path) not in found[0].reason
