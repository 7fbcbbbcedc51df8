"""The pages in git: in a fresh clone, every link leads to a file that git holds, and to a place in it."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.fake_results import REPO
from tests.report.page_reader import Page

REPORTS = REPO / "reports"
IN_GIT = {
    REPO / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "reports"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if name
}
PAGES = sorted(path for path in IN_GIT if path.suffix == ".html")


@cache
def ids(path: Path) -> frozenset[str]:
    return frozenset(Page(path.read_text(encoding="utf-8")).ids)


def test_there_are_pages_of_every_kind() -> None:
    names = {path.relative_to(REPORTS).as_posix() for path in PAGES}
    assert {"index.html", "overview/mini/index.html", "tables/mini/table2.html", "tables/mini/readings.html"} <= names
    assert any(name.startswith("runs/mini/") for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(REPORTS).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    for link in Page(page.read_text(encoding="utf-8")).links:
        file, _, place = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target in IN_GIT, f"git does not hold {link}"
        assert not place or place in ids(target), f"nothing is at {link}"
