"""Entries of a profile that is not the chosen one leave the dvc.lock files again, and nothing else changes."""

from pathlib import Path

import pytest

from tools import locks

ROOT = Path(__file__).resolve().parents[2]
OWN = """  train@smoke-mean_pool:
    cmd: python -m vidprism.execute train profile=smoke
    deps:
    - path: vidprism/config
      hash: md5
    outs:
    - path: data/runs/smoke
"""
LOCKS = ["dvc.lock", *(f"pipelines/{group}/dvc.lock" for group in locks.PIPELINES)]


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
        assert locks.without_new(grown, set(), "smoke") == text
        assert locks.stages(grown, "smoke") == {"train@smoke-mean_pool"}
        assert locks.without_new(grown, {"train@smoke-mean_pool"}, "smoke") == grown


def test_a_lock_that_says_the_same_keeps_its_text() -> None:
    """DVC numbers the anchors of the whole file again when it writes an entry."""
    before = "schema: '2.0'\nstages:\n  index:\n    a: &id006\n    - one\n    b: *id006\n"
    after = before.replace("id006", "id001") + OWN
    assert locks.put_back(after, before, "smoke") == before
    assert locks.put_back(after.replace("one", "two"), before, "smoke") == before.replace("id006", "id001").replace(
        "one", "two"
    )


def test_a_profile_whose_name_begins_alike_is_another_one() -> None:
    text = "stages:\n" + OWN.replace("smoke", "smoke_all")
    assert locks.stages(text, "smoke") == set() and locks.without_new(text, set(), "smoke") == text
    assert locks.stages(text, "smoke_all") == {"train@smoke_all-mean_pool"}
