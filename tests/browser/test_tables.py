"""What a reader does on a table page: sort, show, filter, open a number."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import serious

pytestmark = pytest.mark.slow

TABLE2 = "tables/mini/table2.html"
COLUMN = """() => [...document.querySelector('table.sortable').tBodies[0].rows]
  .filter(r => r.getClientRects().length && !r.classList.contains('section')).map(r => +r.cells[1].dataset.v)"""
FIRST = """() => [...document.querySelector('table.sortable').tBodies[0].rows]
  .filter(r => r.getClientRects().length).map(r => r.cells[0].textContent.replace(/\\s+/g, ' ').trim())"""


def test_a_heading_sorts_and_sorts_back(open_page: Callable) -> None:
    page = open_page(TABLE2)
    heading = page.locator("table.sortable").first.locator("thead th[data-column='1']")
    heading.locator("button").click()
    values = page.evaluate(COLUMN)
    assert len(values) > 3 and len(set(values)) > 1 and values == sorted(values, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    assert page.evaluate(COLUMN) == sorted(values) and heading.get_attribute("aria-sort") == "ascending"
    assert not page.locator("tr.section").first.is_visible()


def test_names_sort_too_and_one_column_says_that_it_does(open_page: Callable) -> None:
    page = open_page(TABLE2)
    table = page.locator("table.sortable").first
    table.locator("thead th[data-column='1'] button").click()
    table.locator("thead th").first.locator("button").press("Enter")
    names = page.evaluate(FIRST)
    assert names == sorted(names, key=str.casefold, reverse=True) and len(set(names)) > 3
    assert table.locator("[aria-sort]").count() == 1


def test_a_switch_shows_the_rows_without_a_number_of_the_suite(open_page: Callable) -> None:
    page = open_page(TABLE2)
    row = page.locator("table.sortable tr.reported", has_text="MoTE")
    assert not row.is_visible()
    page.check("#show-reported")
    assert row.is_visible() and "not run" in row.inner_text()


def test_a_group_is_shown_alone(open_page: Callable) -> None:
    page = open_page(TABLE2)
    rows = page.locator("table.sortable").first.locator("tbody tr[data-group]:visible")
    before = rows.count()
    page.select_option("#group", "Zero-shot")
    assert 0 < rows.count() < before and {r.get_attribute("data-group") for r in rows.all()} == {"Zero-shot"}
    page.select_option("#group", "")
    assert rows.count() == before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_number_opens_where_it_comes_from(open_page: Callable, dark: bool) -> None:
    page = open_page(TABLE2, dark=dark)
    number = page.locator("tr[id='p.vidprism_c'] .number").first
    number.press("Enter")
    panel = page.locator("[id='p.vidprism_c.hmdb51_k2']")
    assert panel.is_visible()
    assert "VidPrism-C on frozen features, mini-HMDB, K=2" in panel.locator("h2").inner_text()
    assert "119 of 120 listed test videos" in panel.inner_text()
    assert not serious(page, within="[popover]:popover-open")
    panel.get_by_text("Configuration, search, code and machine").click()
    row = page.locator("[id='p.vidprism_c.row']")
    assert row.is_visible() and panel.is_visible() and "reading=paper" in row.inner_text()
    page.keyboard.press("Escape")
    assert panel.is_visible() and not row.is_visible()
    page.keyboard.press("Escape")
    assert not panel.is_visible() and number.evaluate("e => e === document.activeElement"), "the reader is back"
