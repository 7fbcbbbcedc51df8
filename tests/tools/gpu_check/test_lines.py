"""Measurements are written at once, and a bound that is not a number never holds."""

import json
from pathlib import Path

import pytest

from tools.gpu_check.lines import Lines, read, wrong


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.jsonl"


def test_each_line_is_on_disk_when_it_is_written(path: Path) -> None:
    lines = Lines("a part", path)
    lines.measured("speed", 3, "clips/s", "a note")
    (line,) = read(path)
    assert (line.part, line.kind, line.value, line.unit, line.note) == ("a part", "measured", 3.0, "clips/s", "a note")
    lines.skipped("fp16", "no GPU")
    Lines("another", path).goal("share", 0.5, 0.4)
    assert [line.kind for line in read(path)] == ["measured", "skipped", "goal"]


@pytest.mark.parametrize(
    ("value", "holds"), [(0.0, True), (1.0, True), (1.1, False), (float("nan"), False), (float("inf"), False)]
)
def test_bounds(path: Path, value: float, holds: bool) -> None:
    lines = Lines("a part", path)
    lines.right("error", value, at_most=1.0)
    lines.low_goal("waiting", value, at_most=1.0)
    right, low = read(path)
    assert right.holds is low.holds is holds
    assert wrong([right, low]) == ([] if holds else [right]), "a goal that is missed is not wrong"
    assert (right.value is None) == (value != value or value == float("inf"))


def test_a_goal_and_an_equality(path: Path) -> None:
    lines = Lines("a part", path)
    lines.goal("share", 0.39, at_least=0.4)
    lines.equal("bits", True)
    lines.equal("bits", False)
    assert [line.holds for line in read(path)] == [False, True, False]
    assert len(wrong(read(path))) == 1


def test_an_error_is_a_line_and_the_part_continues(path: Path) -> None:
    lines = Lines("a part", path)
    with lines.guarded("a product"):
        raise RuntimeError("Expected all tensors to be on the same device")
    lines.measured("speed", 1)
    failed, measured = read(path)
    assert failed.kind == "failed" and "RuntimeError: Expected all tensors" in failed.note and measured.value == 1.0
    assert wrong(read(path)) == [failed]


def test_a_line_that_was_cut_off_is_left_out(path: Path) -> None:
    Lines("a part", path).measured("speed", 1)
    with path.open("a") as file:
        file.write(json.dumps({"part": "a part"})[:-3])
    assert len(read(path)) == 1
    assert read(path.with_name("none")) == []
