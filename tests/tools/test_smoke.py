"""`make smoke` removes only its own entries from dvc.lock, and chooses its profile temporarily."""

import sys
from pathlib import Path

import pytest

from tools import smoke, with_profile

ROOT = Path(__file__).resolve().parents[2]
OWN = """  train@smoke-mean_pool:
    cmd: python -m vidprism.execute train profile=smoke
    deps:
    - path: vidprism/config
      hash: md5
    outs:
    - path: data/runs/smoke
"""
LOCKS = ["dvc.lock", *(f"pipelines/{group}/dvc.lock" for group in smoke.PIPELINES)]


@pytest.mark.parametrize("lock", LOCKS)
def test_entries_of_smoke_go_and_the_rest_stays_byte_for_byte(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    middle = text.index("\n  ", len(text) // 3)
    while text[middle + 3] in " -":
        middle = text.index("\n  ", middle + 1)
    for grown in (
        text + OWN,
        text[: middle + 1] + OWN + text[middle + 1 :],
        text.replace("stages:\n", "stages:\n" + OWN),
    ):
        assert smoke.without_new(grown, set()) == text and smoke.stages(grown) == {"train@smoke-mean_pool"}
        assert smoke.without_new(grown, {"train@smoke-mean_pool"}) == grown


def test_a_run_leaves_the_locks_as_they_were_but_for_other_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("smoke: &smoke {}\nmini: &mini {}\nprofile: *mini\n")
    for group in smoke.PIPELINES:
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


def test_a_lock_that_says_the_same_keeps_its_text() -> None:
    """DVC numbers the anchors of the whole file again when it writes an entry."""
    before = "schema: '2.0'\nstages:\n  index:\n    a: &id006\n    - one\n    b: *id006\n"
    after = before.replace("id006", "id001") + OWN
    assert smoke.put_back(after, before) == before
    assert smoke.put_back(after.replace("one", "two"), before) == before.replace("id006", "id001").replace("one", "two")
