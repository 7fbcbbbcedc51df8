"""Progress of a stage: one line that says what is done, how far it is and how long it will take."""

import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vidprism.runtime import progress, progress_line
from vidprism.runtime.threads import run_in_threads


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def line() -> str:
    """The line of the stage that is open, as it would be drawn now."""
    return str(progress._line)


def shares(note: Callable[[], None]) -> Callable[[int], None]:
    """Work on one cell: two updates, and then scoring of two groups; `note` is called everywhere."""

    def work(_: int) -> None:
        for what in ("update", "group"):
            for _ in progress.track(range(2), what):
                note()
            note()

    return work


def test_nested_work_is_one_number_that_never_goes_back() -> None:
    seen: list[float] = []
    with progress.stage("train few_shot", io.StringIO()):
        work = shares(lambda: seen.append(progress._line.share))
        for cell in progress.track(range(2), "cell"):
            work(cell)
        seen.append(progress._line.share)
    assert seen == sorted(seen) and seen[0] == 0.0 and seen[-1] == 1.0
    first = [0, 0.45, 0.9, 0.9, 0.945, 0.99]  # of a cell: 90 % for its updates, and 90 % of the rest for its scores
    assert seen[:6] == pytest.approx([share / 2 for share in first])


def test_the_line_says_what_how_far_and_how_long() -> None:
    with progress.stage("train few_shot", io.StringIO()):
        assert line() == "train few_shot: running for 0 s"
        for cell in progress.track(["a", "b"], "cell"):
            for update in progress.track(range(4), "update"):
                if (cell, update) == ("a", 0):
                    assert line() == "train few_shot: cell 1 of 2, update 1 of 4, 0 %, no estimate yet"
                if (cell, update) == ("b", 2):
                    assert line().startswith("train few_shot: cell 2 of 2, update 3 of 4, 72 %, about ")
                    assert line().endswith("to go")


@pytest.mark.parametrize("threads", [1, 3])
def test_items_in_threads_count_when_they_are_done(threads: int) -> None:
    """Also if an earlier item is still at work."""
    seen, lock = [], threading.Lock()

    def note() -> None:
        with lock:
            seen.append(progress._line.share)

    with progress.stage("s", io.StringIO()):
        run_in_threads(shares(note), range(6), threads, "cell")
        assert progress._line.share == 1.0
    assert seen == sorted(seen) and len(set(seen)) > 12


def test_two_items_at_work_both_count() -> None:
    with progress.stage("s", io.StringIO()), progress.counting("cell", 4) as level:
        barrier = threading.Barrier(3)

        def work() -> None:
            with level.item():
                for step in progress.track(range(2), "update"):
                    if step == 1:  # one of two updates is done
                        barrier.wait(timeout=10)
                        barrier.wait(timeout=10)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        barrier.wait(timeout=10)
        assert level.share == pytest.approx((0.45 + 0.45) / 4)
        barrier.wait(timeout=10)
        for thread in threads:
            thread.join()
        assert level.share == 0.5


def test_resumed_work_starts_where_it_was_and_its_estimate_is_that_of_new_work() -> None:
    with progress.stage("s", io.StringIO()), progress.counting("video", 10, done=8) as level:
        assert line() == "s: video 9 of 10, 80 %, no estimate yet"
        level.step()
        level.start_sec -= 30  # the video took 30 s
        assert line() == "s: video 10 of 10, 90 %, about 30 s to go"


def test_work_elsewhere_is_followed(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with progress.stage("s", io.StringIO()):
        with progress.followed(lambda: progress_line.read_share(report), "cell", 4):
            assert line().startswith("s: cell 1 of 4, 0 %")
            report.write_text("0.6")
            assert line().startswith("s: cell 3 of 4, 60 %")
        report.unlink()
        assert line().startswith("s: cell 3 of 4, 60 %"), "the share stays when the report is gone"
    with progress.stage("", report), progress.counting("cell", 2) as level:
        level.step()
    assert progress_line.read_share(report) == 0.5 and [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_log_gets_a_line_a_minute_also_while_one_item_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with progress.stage("s", out):
        for _ in progress.track(range(1000), "update"):
            pass
    assert out.getvalue() == "", "it took less than a minute"
    monkeypatch.setattr(progress_line, "LINE_EVERY_SEC", 0.05)
    with progress.stage("generate", out):
        time.sleep(0.3)
    first, *_, last = out.getvalue().splitlines()
    assert first == "generate: running for 0 s" and last == "generate: ended after 0 s"


def test_a_terminal_gets_a_bar_that_is_cleared_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "DRAW_EVERY_SEC", 0.02)
    out = Terminal()
    with progress.stage("s", out):
        for _ in progress.track(range(3), "update"):
            time.sleep(0.2)
    assert "update 2 of 3" in out.getvalue() and "\n" not in out.getvalue()
    assert out.getvalue().rstrip("\r").split("\r")[-1].strip() == ""


def test_a_terminal_without_a_size_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "DRAW_EVERY_SEC", 0.02)
    reader, terminal = os.openpty()
    with open(terminal, "w") as out, progress.stage("s", out), progress.counting("update", 2):
        time.sleep(0.3)
    shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "s: update 1 of 2 |" in shown and "0 %, no estimate yet" in shown


def test_without_a_stage_nothing_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(iter("ab"), "letter", 2)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_work_that_ends_early_is_left() -> None:
    with progress.stage("s", io.StringIO()), progress.counting("cell", 2) as level:
        with level.item():
            for _ in progress.track(range(3), "update"):
                break
            assert line().startswith("s: cell 1 of 2, 45 %")
        kept = []
        with pytest.raises(ValueError, match="stop"), level.item():
            broken = progress.track(range(3), "update")
            kept.append(broken)  # it ends late
            for _ in broken:
                raise ValueError("stop")
        assert progress._here.get() is None
        kept.clear()
        assert progress._here.get() is None and level.share == 0.5, "what raised is not done"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3 * 3600 + 300, "3 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert progress_line.duration(seconds) == said
