"""Progress of a stage: one line that says what is done, how far it is and how long it will take."""

import io
import threading
import time

import pytest

from vidprism.runtime import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A file that gets a line for every part, and not one a minute."""
    monkeypatch.setattr(progress, "LINE_EVERY_SEC", 0.0)
    return io.StringIO()


def test_nested_work_is_one_number(every_line: io.StringIO) -> None:
    with progress.stage("train few_shot", every_line):
        for _ in progress.track(["a", "b"], "cell"):
            for _ in progress.track(range(4), "update"):
                pass
    lines = every_line.getvalue().splitlines()
    shares = [line.split(", ")[-2] for line in lines[:-1]]
    assert shares == ["12 %", "25 %", "38 %", "50 %", "50 %", "62 %", "75 %", "88 %", "100 %", "100 %"]
    assert lines[0].startswith("train few_shot: cell 1 of 2, update 2 of 4, 12 %, about ") and lines[0].endswith(
        "to go"
    )
    assert lines[-1].startswith("train few_shot: ended after")


def test_parts_in_threads_are_parts_of_what_waits_for_them(every_line: io.StringIO) -> None:
    def work(barrier: threading.Barrier) -> None:
        for step in progress.track(range(2), "update"):
            if step == 1:  # one of two updates is done
                barrier.wait(timeout=10)
                barrier.wait(timeout=10)

    with progress.stage("s", every_line), progress.counting("cell", 4) as level:
        barrier = threading.Barrier(3)
        threads = [threading.Thread(target=work, args=(barrier,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        barrier.wait(timeout=10)
        assert level.share == pytest.approx((0.5 + 0.5) / 4)
        barrier.wait(timeout=10)
        for thread in threads:
            thread.join()
        assert level.share == 0.0 and not level.parts


def test_resumed_work_starts_where_it_was(every_line: io.StringIO) -> None:
    with progress.stage("s", every_line), progress.counting("video", 10, done=5) as level:
        level.step()
    assert "video 7 of 10, 60 %" in every_line.getvalue()


def test_without_a_terminal_there_is_at_most_a_line_a_minute() -> None:
    out = io.StringIO()
    with progress.stage("s", out):
        for _ in progress.track(range(1000), "update"):
            pass
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_cleared_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DRAW_EVERY_SEC", 0.0)
    out = Terminal()
    with progress.stage("s", out):
        for _ in progress.track(range(3), "update"):
            time.sleep(0.15)
    assert "update 2 of 3" in out.getvalue() and "\n" not in out.getvalue()
    assert out.getvalue().rstrip("\r").split("\r")[-1].strip() == ""


def test_without_a_stage_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(iter("ab"), "letter", 2)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_work_that_ends_early_is_closed(every_line: io.StringIO) -> None:
    with progress.stage("s", every_line), progress.counting("cell", 2) as level:
        for _ in progress.track(range(3), "update"):
            break
        assert not level.parts
        with pytest.raises(ValueError, match="stop"):
            for _ in progress.track(range(3), "update"):
                raise ValueError("stop")
        assert not level.parts


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3 * 3600 + 300, "3 h 5 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert progress.duration(seconds) == said
