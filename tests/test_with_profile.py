"""Choosing a profile is one line, and a run with another profile leaves params.yaml as it was."""

import sys
from pathlib import Path

import pytest

from tools.with_profile import choose, main

TEXT = "seed: 1\nsmoke: &smoke {name: smoke}\nmini: &mini {name: mini}\nprofile: *mini\n"


def test_one_line_changes() -> None:
    assert choose(TEXT, "smoke") == TEXT.replace("profile: *mini", "profile: *smoke")


def test_a_file_without_the_line_is_refused() -> None:
    with pytest.raises(SystemExit, match="exactly one line"):
        choose("seed: 1\n", "smoke")


def test_the_file_is_put_back_also_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = tmp_path / "params.yaml"
    params.write_text(TEXT)
    seen = "from pathlib import Path; import sys; sys.exit(3 if '*smoke' in Path('params.yaml').read_text() else 4)"
    assert main("smoke", sys.executable, "-c", seen) == 3
    assert params.read_text() == TEXT
