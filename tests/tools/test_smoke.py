"""`make smoke` removes only its own entries from dvc.lock, and chooses its profile temporarily."""

import sys
from pathlib import Path

import pytest

from tests.tools.test_locks import OWN
from tools import locks, smoke, with_profile


def test_a_run_leaves_the_locks_as_they_were_but_for_other_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("smoke: &smoke {}\nmini: &mini {}\nprofile: *mini\n")
    for group in locks.PIPELINES:
        (tmp_path / "pipelines" / group).mkdir(parents=True)
    lock = tmp_path / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages:\n  index:\n    cmd: one\n")
    repro = f"""
from pathlib import Path
assert "profile: *smoke" in Path("params.yaml").read_text()
path = Path("dvc.lock")
path.write_text(path.read_text().replace("cmd: one", "cmd: two") + {OWN!r})
raise SystemExit(3)
"""
    run = with_profile.main
    monkeypatch.setattr(with_profile, "main", lambda profile, *_: run(profile, sys.executable, "-c", repro))
    assert smoke.main() == 3
    assert lock.read_text() == "schema: '2.0'\nstages:\n  index:\n    cmd: two\n"
    assert (tmp_path / "params.yaml").read_text().endswith("profile: *mini\n")
