"""What a reader does on a table page: sort, show, filter, open a number, copy."""

import json
from collections.abc import Callable

import pytest

from tests.browser.conftest import PHONE

pytestmark = pytest.mark.slow

TABLE2, TABLE3 = "tables/mini/table2.html", "tables/mini/table3.html"
COLUMN = """() => [...document.querySelector('table.sortable').tBodies[0].rows]
  .filter(r => r.getClientRects().length && !r.classList.contains('section')).map(r => +r.cells[1].dataset.v)"""
CATCH = """() => { window.copied = null; Object.defineProperty(navigator, 'clipboard',
  {configurable: true, value: {writeText: async text => { window.copied = text; }}}); }"""


def test_a_heading_sorts_and_sorts_back(open_page: Callable) -> None:
    page = open_page(TABLE2)
    heading = page.locator("table.sortable").first.locator("thead th[data-column='1']")
    heading.locator("button").click()
    values = page.evaluate(COLUMN)
    assert (
        len(values) > 3
        and values == sorted(values, reverse=True)
        and heading.get_attribute("aria-sort") == "descending"
    )
    heading.locator("button").click()
    assert page.evaluate(COLUMN) == sorted(values) and heading.get_attribute("aria-sort") == "ascending"
    assert not page.locator("tr.section").first.is_visible()


def test_a_switch_shows_the_rows_that_only_the_paper_has(open_page: Callable) -> None:
    page = open_page(TABLE2)
    row = page.locator("table.sortable tr.reported", has_text="MoTE")
    assert not row.is_visible()
    page.check("#show-reported")
    assert row.is_visible() and "reported" in row.inner_text()


def test_a_group_is_shown_alone(open_page: Callable) -> None:
    page = open_page(TABLE2)
    rows = page.locator("table.sortable").first.locator("tbody tr[data-group]:visible")
    before = rows.count()
    page.select_option("#group", "Zero-shot")
    assert 0 < rows.count() < before and {r.get_attribute("data-group") for r in rows.all()} == {"Zero-shot"}
    page.select_option("#group", "")
    assert rows.count() == before


def test_a_number_opens_where_it_comes_from(open_page: Callable) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(TABLE2)
    page.locator("tr[id='p.vidprism_c'] .number").first.click()
    panel = page.locator("[id='p.vidprism_c.hmdb51_k2']")
    assert panel.is_visible()
    assert "VidPrism-C on frozen features, mini-HMDB, K=2" in panel.locator("h2").inner_text()
    assert "119 of 120 listed test videos" in panel.inner_text()
    found = Axe().run(page).response["violations"]
    assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]
    panel.get_by_text("Configuration, search, code and machine").click()
    row = page.locator("[id='p.vidprism_c.row']")
    assert row.is_visible() and panel.is_visible() and "reading=paper" in row.inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert not panel.is_visible()


def copied(page: object, kind: str) -> str:
    page.evaluate(CATCH)
    page.click(f"button.copy[data-kind='{kind}']")
    page.wait_for_function("window.copied !== null")
    return page.evaluate("window.copied")


def test_copies_hold_what_is_shown(open_page: Callable) -> None:
    page = open_page(TABLE2)
    first = page.evaluate(COLUMN)
    found = json.loads(copied(page, "json"))
    cells = [row["mini-HMDB K=2"] for row in found[0]["rows"]]
    assert [cell["value"] for cell in cells] == first and all(cell["half_width"] > 0 for cell in cells)
    assert any(cell["best"] for cell in cells) and "Method" in found[0]["rows"][0]
    latex = copied(page, "latex")
    lines = [line for line in latex.split("\\bottomrule")[0].splitlines() if line.endswith("\\\\")]
    assert {line.replace("\\&", "").count("&") for line in lines} == {12} and len(lines) == 1 + len(first)
    assert "\\toprule" in latex and f"{first[0]:.1f}" in latex and "MoTE" not in latex
    markdown = copied(page, "markdown")
    assert markdown.splitlines()[2].count("|") == 14 and f"{first[0]:.1f} ±" in markdown
    table = copied(page, "csv").split("\n\n")[0].splitlines()
    assert table[0].startswith("Method,mini-HMDB K=2,") and len(table) == 1 + len(first)
    page.check("#show-reported")
    assert "MoTE" in copied(page, "latex")


def test_an_ablation_copies_its_changes(open_page: Callable) -> None:
    page = open_page(TABLE3)
    (found,) = json.loads(copied(page, "json"))
    row = next(row for row in found["rows"] if row["Rates"] == "2")
    assert row["mini-UCF Change"]["value"] < 0 and row["mini-UCF Top-1 (%)"]["value"] > 0


def test_on_a_phone_the_first_column_and_the_heading_stay(open_page: Callable) -> None:
    page = open_page(TABLE2, PHONE)
    frame = page.locator(".scroll").first
    frame.scroll_into_view_if_needed()
    cell = frame.locator("tbody tr[id='p.vidprism_c'] th")
    heading = frame.locator("thead th").first
    before, above = cell.bounding_box(), heading.bounding_box()
    frame.evaluate("e => { e.scrollLeft = 300; }")
    assert cell.bounding_box()["x"] == pytest.approx(before["x"], abs=1)
    frame.evaluate("e => { e.scrollTop = 120; }")
    assert (
        heading.bounding_box()["y"] <= above["y"] + 1 and frame.bounding_box()["y"] <= heading.bounding_box()["y"] + 1
    )
    assert frame.evaluate("e => e.scrollLeft") > 0


def test_on_paper_each_dataset_has_a_table_with_every_row(open_page: Callable) -> None:
    page = open_page(TABLE2)
    page.emulate_media(media="print")
    shown = page.locator("table.paper-only:visible")
    captions = [caption.split(".")[0] for caption in shown.locator("caption").all_inner_texts()]
    assert captions[:3] == ["mini-HMDB", "mini-UCF", "mini-SSv2"]
    assert shown.first.get_by_text("MoTE").is_visible() and not page.locator("table.sortable").first.is_visible()
