"""A row that was measured elsewhere: added if this clone would have written it, refused with the reason if not."""

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_results import fake_config, fake_record
from tools import merge_rows
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.records import row_file
from vidprism.records.record import Record


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return fake_config(tmp_path / "clone", "full")


@pytest.fixture
def commit(config: Config) -> str:
    config.root_dir.mkdir()
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), (*author, "commit", "-q", "--allow-empty", "-m", "code")):
        subprocess.run(["git", *command], cwd=config.root_dir, check=True)
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=config.root_dir, check=True, capture_output=True, text=True
    )
    return asked.stdout.strip()


def measured(config: Config, commit: str, key: str) -> Record:
    record = fake_record(config, rows(config, "few_shot")[key])
    record["code"] = {"version": "0123456789ab", "base_commit": commit[:12], "dirty": False}
    for cell in record["cells"]:
        for metric, answers in (("top1", "correct"), ("top5", "correct5")):
            found = results.estimate([repeat[answers] for repeat in cell["repeats"]], cell.get("groups"))
            cell[metric] = found
            for repeat in cell["repeats"]:
                text = repeat[answers]
                repeat[metric] = 100 * text.count("1") / (len(text) - text.count("-"))
    return record


@pytest.fixture
def record(config: Config, commit: str) -> Record:
    return measured(config, commit, "st_adapter")


def copied(record: Record, folder: Path) -> Path:
    file = folder / f"{record['row']}.json"
    file.write_text(row_file.to_text(record, file.name), encoding="utf-8")
    return file


def test_a_good_file_becomes_a_row_of_the_group(config: Config, record: Record, tmp_path: Path) -> None:
    assert merge_rows.merge(config, [copied(record, tmp_path)]) == []
    found = results.load_results(config, "few_shot")
    assert found["st_adapter"] == record
    assert {r["status"] for key, r in found.items() if key != "st_adapter"} == {"not run"}


def test_a_second_file_joins_the_first_and_one_in_place_is_listed(config: Config, record: Record, commit: str) -> None:
    folder = paths.results(config, "few_shot").with_suffix("")
    folder.mkdir(parents=True)
    for one in (record, measured(config, commit, "aim")):
        copied(one, folder)
    assert merge_rows.merge(config, []) == []
    assert {key for key, r in results.load_results(config, "few_shot").items() if r["status"] == "measured"} == {
        "aim",
        "st_adapter",
    }


def _change(**changed: object) -> Callable[[Record], None]:
    return lambda record: record.update(changed)


def _cells(**changed: object) -> Callable[[Record], None]:
    return lambda record: record["cells"][0].update(changed)


def _repeat(**changed: object) -> Callable[[Record], None]:
    return lambda record: record["cells"][0]["repeats"][0].update(changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_change(profile="mini"), "measured in the profile mini"),
        (lambda record: record["config"]["options"].update(dropout=0.1), "asks for something else"),
        (_cells(frames=16), "asks for something else: frames"),
        (lambda record: record["cells"].pop(), "its cells are not those of params.yaml"),
        (lambda record: record["code"].update(dirty=True), "not that of a commit"),
        (lambda record: record["code"].update(base_commit="123456123456"), "which this repository does not have"),
        (lambda record: record["backbone"].update(weights_sha256="cd" * 32), "that of the row aim has abab"),
        (_cells(data_fingerprint="sha256:00"), "its data differ"),
        (lambda record: record["cells"][0]["top1"].update(mean=99.0), "the file says 99.00 %"),
        (lambda record: record["cells"][0]["top1"].update(ci95=[1.0, 99.0]), "its answers give a top1"),
        (_repeat(top5=100.0), "not 100.00 %"),
    ],
)
def test_what_speaks_against_a_file_is_said(
    config: Config, record: Record, commit: str, tmp_path: Path, change: Callable[[Record], None], reason: str
) -> None:
    assert merge_rows.merge(config, [copied(measured(config, commit, "aim"), tmp_path)]) == []
    before = paths.results(config, "few_shot").read_bytes()
    other = copy.deepcopy(record)
    change(other)
    if reason == "asks for something else":
        config.methods["st_adapter"] = {"dropout": 0.2}
    found = merge_rows.merge(config, [copied(other, tmp_path)])
    assert found and any(reason in problem for problem in found), found
    assert paths.results(config, "few_shot").read_bytes() == before


def test_the_command_says_what_is_there(
    config: Config, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(merge_rows, "load_config", lambda name: config)
    file = copied(record, tmp_path)
    assert merge_rows.main(["full", str(file)]) == 0 and "1 of few_shot" in capsys.readouterr().out
    file.write_text(file.read_text(encoding="utf-8")[:500], encoding="utf-8")
    assert merge_rows.main(["full", str(file)]) == 1 and "is damaged" in capsys.readouterr().err
    assert merge_rows.main([]) == 2
