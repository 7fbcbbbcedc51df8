"""The text of a record: nothing lost, long strings compressed, lists of numbers on one line."""

import json
from pathlib import Path

import pytest

from tests.fake_results import fake_config, fake_record
from vidprism.config.rows import rows
from vidprism.records import row_file
from vidprism.records.record import Record, ResultsError


@pytest.fixture
def record(tmp_path: Path) -> Record:
    config = fake_config(tmp_path)
    made = fake_record(config, rows(config, "few_shot")["mean_pool"])
    for cell in made["cells"]:
        cell["groups"] = " ".join(str(i // 2) for i in range(cell["n_listed"]))
    return made


def test_a_record_comes_back(record: Record) -> None:
    text = row_file.to_text(record, "here")
    assert row_file.from_text(text, "here") == record
    assert text == row_file.to_text(row_file.from_text(text, "here"), "here")


def test_strings_with_something_for_each_video_are_short(record: Record) -> None:
    cell = json.loads(row_file.to_text(record, "here"))["cells"][0]
    plain = record["cells"][0]
    assert len(plain["groups"]) > row_file.LONG and len(cell["groups"]) < len(plain["groups"])
    assert len(plain["repeats"][0]["correct"]) <= row_file.LONG, "120 answers stay readable"
    assert cell["repeats"][0]["correct"] == plain["repeats"][0]["correct"]


@pytest.mark.parametrize("text", ["0", "01-" * 300, "10" * 360])
def test_a_string_comes_back(text: str) -> None:
    packed = row_file.pack(text)
    assert row_file.unpack(packed) == text and len(packed) <= max(len(text), row_file.LONG)


def test_a_damaged_string_is_named(record: Record) -> None:
    text = row_file.to_text(record, "here")
    with pytest.raises(ResultsError, match="here is damaged"):
        row_file.from_text(text.replace("zlib:e", "zlib:!"), "here")


def test_a_list_of_numbers_stands_on_one_line(record: Record) -> None:
    lines = row_file.to_text(record, "here").splitlines()
    interval = record["cells"][0]["top1"]["ci95"]
    assert sum(json.dumps(interval) in line for line in lines) >= 1
