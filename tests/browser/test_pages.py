"""Every kind of page in a real browser: readable by machines and people, complete, light and silent."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import DESKTOP, KINDS, PHONE, UNFOLD, serious

pytestmark = pytest.mark.slow

MOST_BYTES, MOST_BYTES_INDEX = 1_000_000, 150_000
SLOW_SEC = 5.0  # a page should be drawn in one second; five say that something is wrong on any machine
LEAST_CONTRAST = 4.5  # of text: WCAG 2.2, success criterion 1.4.3
# the rules of axe that depend on the colours or on the size of the screen
DRAWN = ("color-contrast", "link-in-text-block", "scrollable-region-focusable")
NO_NAMES = {"", "here", "link", "more", "click here", "read more", "this"}

# Text of charts, and small text of tables, whose colour is too close to what is behind it: axe reads no pictures.
FAINT = """least => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const found = new Map();
  for (const e of document.querySelectorAll('svg text, .ci, .pm, .paper, td.none, caption, figcaption, .tag')) {
    if (!e.getClientRects().length || !e.textContent.trim()) continue;
    const style = getComputedStyle(e), ink = parse(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < least) found.set(`${e.tagName} ${e.getAttribute('class')}`, ratio.toFixed(2));
  }
  return [...found]; }"""
HEADINGS = """() => [document, ...document.querySelectorAll('[popover]')].map(part =>
  [...part.querySelectorAll('h1,h2,h3,h4,h5,h6')]
    .filter(e => part !== document || !e.closest('[popover]')).map(e => +e.tagName[1]))"""
UNNAMED = """() => {
  const all = (what, wrong, said) => [...document.querySelectorAll(what)].filter(wrong).map(said);
  const scopes = ['col', 'row', 'colgroup', 'rowgroup'], title = s => s.querySelector('title')?.textContent;
  return [
    ...all('table', t => !t.caption?.textContent.trim(), t => 'table without a caption'),
    ...all('th', h => !scopes.includes(h.scope), h => `th without a scope: ${h.textContent}`),
    ...all('.scroll', f => !f.ariaLabel || f.getAttribute('role') !== 'region', f => 'frame without a name'),
    ...all('svg:not([aria-hidden])', s => s.getAttribute('role') !== 'img', s => 'picture without a role'),
    ...all('svg[role=img]', s => !title(s) || !s.ariaLabel, s => 'picture without a title')]; }"""
LANDMARKS = """() => ['body > header', 'header nav[aria-label]', 'body > main', 'body > footer']
  .map(what => document.querySelectorAll(what).length)"""
LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => [a.ariaLabel ?? a.textContent.trim(), a.href])"


def test_every_kind_of_page_is_opened(reports: Path) -> None:
    """Every written page is opened by these tests; of the runs, one that has curves and one that has none."""
    written = {path.relative_to(reports).as_posix() for path in reports.rglob("*.html")}
    runs = {name for name in written if name.startswith("runs/")}
    assert written - runs == {name for name in KINDS if not name.startswith("runs/")}
    chosen = runs & set(KINDS)
    assert {"<h2>Curves</h2>" in (reports / name).read_text(encoding="utf-8") for name in chosen} == {True, False}


@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_serious(open_page: Callable, name: str) -> None:
    """On a light screen by all rules, on a dark phone by those to which it matters; with everything unfolded."""
    for size, dark, rules in ((DESKTOP, False, ()), (PHONE, True, DRAWN)):
        page = open_page(name, size, dark=dark)
        page.evaluate(UNFOLD)
        assert not serious(page, *rules)
        assert not page.evaluate(FAINT, LEAST_CONTRAST)


@pytest.mark.parametrize("name", KINDS)
def test_structure(open_page: Callable, name: str) -> None:
    page = open_page(name)
    main, *panels = page.evaluate(HEADINGS)
    assert main.count(1) == 1 and main[0] == 1
    assert all(panel[0] == 2 and 1 not in panel for panel in panels)
    assert all(b <= a + 1 for levels in (main, *panels) for a, b in itertools.pairwise(levels)), main
    assert not page.evaluate(UNNAMED)
    assert page.evaluate(LANDMARKS) == [1, 1, 1, 1]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop is the skip link"


@pytest.mark.parametrize("name", KINDS)
def test_the_text_of_a_link_names_its_target(open_page: Callable, name: str) -> None:
    """Links of menus and of closed panels too: a text leads to one place only."""
    targets: dict[str, set[str]] = {}
    for text, target in open_page(name).evaluate(LINKS):
        assert text.lower() not in NO_NAMES, target
        targets.setdefault(text, set()).add(target)
    twice = {text: sorted(found) for text, found in targets.items() if len(found) > 1}
    assert not twice, twice


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


def test_pictures_stand_still_for_those_who_ask(open_page: Callable) -> None:
    page = open_page("overview/mini/index.html")
    moving = "() => document.getAnimations().filter(a => a.playState === 'running').length"
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0
