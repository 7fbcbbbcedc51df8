"""The code behind a result: clean where only the profile was chosen, dirty where anything that decides was edited."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.with_profile import choose
from vidprism.runtime import provenance

PARAMS = "smoke: &smoke {lr: 1}\nfull: &full {lr: 2}\nprofile: *smoke\n"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("vidprism", "notebooks", "reports"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("as committed")
    (tmp_path / "params.yaml").write_text(PARAMS)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "code")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("edit", "dirty"),
    [
        (lambda root: None, False),
        (lambda root: (root / "params.yaml").write_text(choose(PARAMS, "full")), False),
        (lambda root: (root / "reports/file").write_text("another result"), False),
        (lambda root: (root / "params.yaml").write_text(choose(PARAMS.replace("lr: 2", "lr: 3"), "full")), True),
        (lambda root: (root / "params.yaml").unlink(), True),
        (lambda root: (root / "vidprism/file").write_text("edited"), True),
        (lambda root: (root / "vidprism/new").write_text("a file more"), True),
        (lambda root: (root / "notebooks/file").unlink(), True),
    ],
    ids=["nothing", "profile", "result", "parameter", "no parameters", "code", "new code", "notebook"],
)
def test_what_makes_the_code_of_a_result_dirty(clone: Path, edit: Callable[[Path], object], dirty: bool) -> None:
    edit(clone)
    found = provenance.code_version()
    assert found["dirty"] is dirty and len(str(found["base_commit"])) == 12


def test_outside_git_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = provenance.code_version()
    assert found["dirty"] is None and found["base_commit"] is None
