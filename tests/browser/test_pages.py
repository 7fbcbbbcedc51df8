"""Every kind of page in a real browser: readable by machines and people, on a screen, a phone and paper."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import DESKTOP, KINDS, PAPER, PHONE

pytestmark = pytest.mark.slow

SERIOUS = {"serious", "critical"}
MOST_BYTES, MOST_BYTES_INDEX = 1_000_000, 150_000
SLOW_SEC = 5.0  # a page should be drawn in one second; five say that something is wrong on any machine

CUT = """width => [...document.querySelectorAll('body *')]
  .filter(e => e.getClientRects().length && !e.closest('[popover]') && !(e.closest('.scroll > *')))
  .filter(e => e.getBoundingClientRect().right > width + 1)
  .map(e => `${e.tagName} ${e.className} ${Math.round(e.getBoundingClientRect().right)}`)"""
TABLES = """() => [...document.querySelectorAll('table')].filter(e => e.getClientRects().length)
  .map(e => ({name: e.caption?.textContent ?? '', right: e.getBoundingClientRect().right}))"""
HEADINGS = """() => [...document.querySelectorAll('h1,h2,h3,h4')].filter(e => !e.closest('[popover]'))
  .map(e => +e.tagName[1])"""
UNNAMED = """() => {
  const all = (what, wrong, said) => [...document.querySelectorAll(what)].filter(wrong).map(said);
  return [
    ...all('table', t => !t.caption?.textContent.trim(), t => 'table without a caption'),
    ...all('th', h => !h.scope, h => `th without a scope: ${h.textContent}`),
    ...all('svg:not([aria-hidden])', s => s.getAttribute('role') !== 'img', s => 'picture without a role'),
    ...all('svg[role=img]', s => !s.querySelector('title')?.textContent, s => 'picture without a title')]; }"""
LINKS = """() => [...document.querySelectorAll('main a')]
  .filter(a => !a.closest('[popover]') && a.getClientRects().length)
  .map(a => [a.getAttribute('aria-label') ?? a.textContent.trim(), a.href])"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_serious(open_page: Callable, name: str, dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, dark=dark)
    found = Axe().run(page).response["violations"]
    wrong = [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SERIOUS]
    assert not wrong, wrong


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_cut(open_page: Callable, name: str, size: tuple[int, int]) -> None:
    """On a phone, tables scroll inside their frames, and the page itself does not scroll sideways."""
    page = open_page(name, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0], page.evaluate(CUT, size[0])
    assert not page.evaluate(CUT, size[0])
    if size == DESKTOP:
        wide = [table for table in page.evaluate(TABLES) if table["right"] > size[0]]
        assert not wide, wide


@pytest.mark.parametrize("name", KINDS)
def test_every_column_is_printed(open_page: Callable, name: str) -> None:
    page = open_page(name, PAPER)
    page.emulate_media(media="print")
    wide = [table for table in page.evaluate(TABLES) if table["right"] > PAPER[0] + 1]
    assert not wide, wide


@pytest.mark.parametrize("name", KINDS)
def test_structure(open_page: Callable, name: str) -> None:
    page = open_page(name)
    levels = page.evaluate(HEADINGS)
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert not page.evaluate(UNNAMED)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop is the skip link"
    targets: dict[str, set[str]] = {}
    for text, target in page.evaluate(LINKS):
        assert text and text.lower() not in ("here", "link", "more"), target
        targets.setdefault(text, set()).add(target)
    numbers = {text for text in targets if not any(c.isalpha() for c in text)}  # numbers lead to the run behind them
    assert all(len(found) == 1 for text, found in targets.items() if text not in numbers), targets


@pytest.mark.parametrize("name", KINDS)
def test_weight_and_time(open_page: Callable, reports: Path, name: str) -> None:
    size = (reports / name).stat().st_size
    assert size < (MOST_BYTES_INDEX if name.endswith("index.html") else MOST_BYTES), f"{name} has {size} bytes"
    start = time.perf_counter()
    page = open_page(name)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    took_sec = time.perf_counter() - start
    print(f"{name}: {size / 1000:.0f} kB, drawn in {took_sec:.2f} s")
    assert took_sec < SLOW_SEC


@pytest.mark.parametrize("name", ["overview/mini/index.html", "tables/mini/table2.html"])
def test_without_scripts_everything_is_there(open_page: Callable, name: str) -> None:
    page = open_page(name, scripts=False)
    assert page.locator("table:visible th", has_text="mini-HMDB").first.is_visible()
    assert all(not tool.is_visible() for tool in page.locator(".script").all())


def test_pictures_stand_still_for_those_who_ask(open_page: Callable) -> None:
    page = open_page("overview/mini/index.html")
    moving = "() => document.getAnimations().filter(a => a.playState === 'running').length"
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


def test_a_picture_of_a_page(chromium: object, reports: Path, tmp_path: Path) -> None:
    """`make screenshots` photographs a page on a screen, a phone and paper."""
    from PIL import Image

    from tools.screenshots import SIZES, photograph

    for size, (width, height) in SIZES.items():
        target = tmp_path / f"{size}.png"
        photograph(chromium, reports / "index.html", size, target, whole=False)
        assert Image.open(target).size == (width, height)
