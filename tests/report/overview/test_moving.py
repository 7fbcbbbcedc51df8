"""Moving pictures on the index: only those that the world stage listed, and a sentence where there are none."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.fake_results import fake_config, write_all
from tests.report.page_reader import Page
from vidprism import report
from vidprism.config import Config, paths
from vidprism.records.record import ResultsError

NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = fake_config(tmp_path)
    write_all(config)
    return config


def _list(config: Config, **changes: str) -> None:
    folder, content = paths.pictures(config), b"RIFF" + bytes(40)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ucf101-1.webp").write_bytes(content)
    about = {"dataset": "ucf101", "class": NAME, "video_id": NAME, "sha256": hashlib.sha256(content).hexdigest()}
    listed = [{"file": "ucf101-1.webp", **about, **changes}]
    paths.results(config, "pictures").write_text(json.dumps(listed), encoding="utf-8")


def _index(config: Config) -> str:
    return report.write_index(config)[0].read_text(encoding="utf-8")


def test_without_the_stage_the_section_says_so(config: Config) -> None:
    assert "The world stage has not run yet" in _index(config) and "url(" not in _index(config)


def test_a_profile_of_real_videos_shows_none(tmp_path: Path) -> None:
    text = _index(fake_config(tmp_path, "paper"))
    assert "What a video looks like" not in text and "world stage" not in text


def test_a_picture_moves_without_a_script_and_its_names_stay_text(config: Config) -> None:
    _list(config)
    text = _index(config)
    assert ".film1 { background-image: url(data:image/webp;base64,UklGR" in text
    assert "steps(8, jump-none)" in text
    for still in ("prefers-reduced-motion: reduce", "@media print"):
        assert f"({still})" in text or still in text
    found = Page(text)
    assert "img" not in found.tags and NAME in found.text and "onerror" not in found.attributes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../../../etc/passwd"}, "there is no picture"),
        ({"file": "ucf101-2.webp"}, "there is no picture"),
        ({"sha256": "00"}, "is not the picture that the world stage listed"),
    ],
)
def test_another_picture_is_refused(config: Config, changes: dict[str, str], message: str) -> None:
    _list(config, **changes)
    with pytest.raises(ResultsError, match=message):
        report.write_index(config)


def test_a_broken_list_is_named(config: Config) -> None:
    for text in ("{", '[{"file": "ucf101-1.webp"}]', "[3]"):
        paths.results(config, "pictures").write_text(text)
        with pytest.raises(ResultsError, match=r"pictures\.json"):
            report.write_index(config)
