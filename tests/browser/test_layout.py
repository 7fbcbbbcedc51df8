"""Nothing is cut on a screen, on a phone and on paper, and what names a number stays in sight."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import DESKTOP, KINDS, PAPER, PHONE, TABLES, UNFOLD

pytestmark = pytest.mark.slow

CUT = """width => [...document.querySelectorAll('body *')]
  .filter(e => e.getClientRects().length && !e.closest('[popover]') && !(e.closest('.scroll > *')))
  .filter(e => e.getBoundingClientRect().right > width + 1)
  .map(e => `${e.tagName} ${e.className} ${Math.round(e.getBoundingClientRect().right)}`)"""
WIDE = """width => [...document.querySelectorAll('table')].filter(t => t.getClientRects().length)
  .filter(t => t.getBoundingClientRect().right > width + 1).map(t => t.caption?.textContent)"""
# Scroll every frame to its end: the cells that leave it although they name a row or a column, and what was scrolled.
LOST = """() => {
  const lost = [], scrolled = {right: 0, down: 0};
  for (const frame of document.querySelectorAll('.scroll')) {
    if (!frame.checkVisibility()) continue;
    const table = frame.querySelector('table'), box = () => frame.getBoundingClientRect();
    const seen = cells => cells.filter(c => c.getClientRects().length);
    if (frame.scrollWidth > frame.clientWidth + 1) {
      scrolled.right += 1;
      frame.scrollLeft = frame.scrollWidth;
      for (const cell of seen([...table.tBodies[0].rows].filter(r => !r.matches('.section')).map(r => r.cells[0])))
        if (Math.abs(cell.getBoundingClientRect().left - box().left) > 1) lost.push(`row ${cell.textContent.trim()}`);
    }
    if (frame.scrollHeight > frame.clientHeight + 1 && getComputedStyle(frame).overflowY !== 'visible') {
      scrolled.down += 1;
      frame.scrollTop = frame.scrollHeight;
      for (const cell of seen([...table.tHead.rows[0].cells]))
        if (cell.getBoundingClientRect().top < box().top - 1) lost.push(`column ${cell.textContent.trim()}`);
    }
  }
  return {lost, ...scrolled}; }"""
# Scroll each long table to its last row, in its frame or with the page: how far its heading is above the window then.
HEADINGS = """() => {
  const found = [];
  for (const table of [...document.querySelectorAll('table')].filter(t => t.checkVisibility() && t.tHead)) {
    if (table.getBoundingClientRect().height < innerHeight) continue;
    const rows = [...table.querySelectorAll('tbody tr')].filter(r => r.checkVisibility());
    const frame = table.closest('.scroll');
    const framed = frame && getComputedStyle(frame).overflowY !== 'visible';
    if (framed) frame.scrollTop = frame.scrollHeight;
    (framed ? frame : rows.at(-1)).scrollIntoView({block: 'center'});
    found.push({caption: table.caption?.textContent, above: -table.tHead.getBoundingClientRect().top});
  }
  return found; }"""
CLIPPED = """() => [...document.querySelectorAll('svg text')].filter(e => e.checkVisibility())
  .filter(e => { const text = e.getBoundingClientRect(), picture = e.closest('svg').getBoundingClientRect();
    return text.left < picture.left - 1 || text.right > picture.right + 1 || text.bottom > picture.bottom + 1; })
  .map(e => e.textContent)"""
NAMES = """() => [...document.querySelectorAll('table')].filter(t => t.getClientRects().length)
  .map(t => [t.caption.textContent.split('.')[0].trim(), t.tBodies[0].rows.length])"""
PRINTED = """() => {
  const columns = table => { const [upper, lower] = table.tHead.rows, below = [...lower.cells], found = [];
    for (const cell of upper.cells) { if (cell.rowSpan > 1) found.push(cell.innerText);
      else for (const part of below.splice(0, cell.colSpan)) found.push(`${cell.innerText} ${part.innerText}`); }
    return found.map(s => s.replace(/\\s+/g, ' ').trim()); };
  return [...document.querySelectorAll('section')].map(section => ({
    whole: columns(section.querySelector('.sortable')),
    parts: [...section.querySelectorAll('.paper-only')].map(columns)}))
    .filter(found => found.parts.length); }"""


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_cut_on_a_screen(open_page: Callable, name: str) -> None:
    page = open_page(name)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP[0]
    assert not page.evaluate(CUT, DESKTOP[0])
    assert not page.evaluate(WIDE, DESKTOP[0])
    assert not page.evaluate(CLIPPED), "text of a picture ends at its edge"


@pytest.mark.parametrize("name", KINDS)
def test_on_a_phone_only_tables_scroll_sideways_and_keep_their_names(open_page: Callable, name: str) -> None:
    page = open_page(name, PHONE)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], page.evaluate(CUT, PHONE[0])
    assert not page.evaluate(CUT, PHONE[0])
    found = page.evaluate(LOST)
    assert not found["lost"], found
    assert name not in TABLES or found["right"], "the tables of the paper are wider than a phone"
    assert name != TABLES[1] or found["down"], "Table 2 is longer than a phone too"


@pytest.mark.parametrize("name", KINDS)
def test_on_a_screen_the_heading_of_a_long_table_stays(open_page: Callable, name: str) -> None:
    page = open_page(name, (DESKTOP[0], 240))
    page.evaluate(UNFOLD)
    found = page.evaluate(HEADINGS)
    assert not [lost for lost in found if lost["above"] > 1], found
    assert found or name not in (*TABLES, "overview/mini/cells.html"), "this page has a table longer than this window"


@pytest.mark.parametrize("name", KINDS)
def test_every_column_fits_on_paper(open_page: Callable, name: str) -> None:
    page = open_page(name, PAPER)
    page.emulate_media(media="print")
    assert not page.evaluate(WIDE, PAPER[0])
    assert not page.evaluate(CUT, PAPER[0])


def test_on_paper_each_dataset_has_a_table_with_every_row(open_page: Callable) -> None:
    page = open_page("tables/mini/table2.html", PAPER)
    screen = page.locator("table.sortable").first
    n_rows = screen.evaluate("table => table.tBodies[0].rows.length")
    page.emulate_media(media="print")
    found = page.evaluate(NAMES)
    assert not screen.is_visible()
    assert [name for name, n in found if n == n_rows] == ["mini-HMDB", "mini-UCF", "mini-SSv2"]
    assert page.locator("table.paper-only").first.get_by_text("MoTE").is_visible()


def test_together_the_tables_on_paper_have_every_column(open_page: Callable) -> None:
    page = open_page("tables/mini/table2.html", PAPER)
    page.emulate_media(media="print")
    split = page.evaluate(PRINTED)
    assert split
    for found in split:
        whole, parts = found["whole"], found["parts"]
        assert list(dict.fromkeys(name for part in parts for name in part)) == whole


@pytest.mark.parametrize("name", ["overview/mini/index.html", "tables/mini/table2.html"])
def test_without_scripts_everything_is_there(open_page: Callable, name: str) -> None:
    page = open_page(name, scripts=False)
    assert page.locator("table:visible th", has_text="mini-HMDB").first.is_visible()
    assert all(not tool.is_visible() for tool in page.locator(".script").all())


def test_without_scripts_the_switch_and_the_numbers_work(open_page: Callable) -> None:
    page = open_page("tables/mini/table2.html", scripts=False)
    row = page.locator("table.sortable tr.reported", has_text="MoTE")
    assert not row.is_visible()
    page.check("#show-reported")
    assert row.is_visible()
    page.locator("tr[id='p.vidprism_c'] .number").first.click()
    assert page.locator("[id='p.vidprism_c.hmdb51_k2']").is_visible()


def test_a_picture_of_a_page(chromium: object, reports: Path, tmp_path: Path) -> None:
    """`make screenshots` photographs a page on a screen, a phone and paper."""
    from PIL import Image

    from tools.screenshots import SIZES, photograph

    for size, (width, height) in SIZES.items():
        target = tmp_path / f"{size}.png"
        photograph(chromium, reports / "index.html", size, target, whole=False)
        assert Image.open(target).size == (width, height)
