"""What the copy buttons of a table give, as the programs that read it would read it."""

import csv
import io
import json
import re
from collections.abc import Callable

import pytest

from tests.browser.conftest import TABLES

pytestmark = pytest.mark.slow

TABLE2, TABLE3 = "tables/mini/table2.html", "tables/mini/table3.html"
CATCH = """() => { window.copied = null; Object.defineProperty(navigator, 'clipboard',
  {configurable: true, value: {writeText: async text => { window.copied = text; }}}); }"""
FIRST_NUMBER = """([stored, shown]) => { const cell = document.querySelector('table.sortable td[data-v]');
  cell.dataset.v = stored; cell.querySelector('.number').textContent = shown; }"""
OLDER = """works => { window.copied = null;
  document.execCommand = () => { window.copied = document.activeElement.value; return works; };
  Object.defineProperty(navigator, 'clipboard',
    {configurable: true, value: {writeText: async () => { throw new Error('not allowed'); }}}); }"""
# For every table: its visible rows as the numbers of their cells, with all digits and as shown, and its columns.
SHOWN = """() => [...document.querySelectorAll('table.sortable')].map(table => ({
  rows: [...table.tBodies[0].rows].filter(r => r.getClientRects().length && !r.matches('.section'))
    .map(r => [...r.cells].map(c => c.dataset.v === undefined ? null
      : [+c.dataset.v, c.innerText.match(/[+−-]?[0-9]+\\.[0-9]/)[0].replace('−', '-')])),
  columns: [...table.tHead.rows[0].cells].reduce((sum, c) => sum + c.colSpan, 0)}))"""
HOSTILE = r"""a_b & 5% $x$ {y} \z ~^#|1|, "<script>" *s* `c` [d]"""


def copied(page: object, kind: str) -> str:
    page.evaluate(CATCH)
    page.click(f"button.copy[data-kind='{kind}']")
    return page.evaluate("window.copied")


def latex_rows(text: str) -> list[list[list[str]]]:
    """For every tabular, its lines as cells, split where LaTeX would split them."""
    bodies = re.findall(r"\\begin\{tabular\}\{[lc]+\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    lines = ([line[:-2] for line in body.splitlines() if line.endswith("\\\\")] for body in bodies)
    return [[re.split(r"(?<!\\)&", line) for line in body] for body in lines]


def markdown_rows(text: str) -> list[list[list[str]]]:
    """For every table, its lines as cells, without the line below the heading."""
    tables = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    split = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()] for table in tables]
    return [[line for line in table if set("".join(line)) != set("- ")] for table in split]


def csv_rows(text: str) -> list[list[list[str]]]:
    return [list(csv.reader(io.StringIO(part))) for part in text.strip("\n").split("\n\n")]


READERS = {"latex": latex_rows, "markdown": markdown_rows, "csv": csv_rows}


@pytest.mark.parametrize("name", TABLES)
def test_every_form_has_the_rows_columns_and_numbers_that_are_shown(open_page: Callable, name: str) -> None:
    page = open_page(name)
    shown = page.evaluate(SHOWN)
    assert any(table["rows"] for table in shown)
    found = json.loads(copied(page, "json"))
    for table, expected in zip(found, shown, strict=True):
        found_values = [[c["value"] if isinstance(c, dict) else None for c in row.values()] for row in table["rows"]]
        assert found_values == [[cell and cell[0] for cell in row] for row in expected["rows"]] and table["caption"]
    for kind, read in READERS.items():
        for lines, expected in zip(read(copied(page, kind)), shown, strict=True):
            assert {len(line) for line in lines} == {expected["columns"]}, kind
            for line, values in zip(lines[1:], expected["rows"], strict=True):
                for text, value in zip(line, values, strict=True):
                    assert value is None or value[1] in text, kind


@pytest.mark.parametrize(("stored", "shown"), [("36.2500", "36.2"), ("-0.0400", "0.0")])
def test_a_copied_number_is_rounded_as_the_page_rounds(open_page: Callable, stored: str, shown: str) -> None:
    """Python rounds halves to the even digit and shows no negative zero; JavaScript does neither."""
    page = open_page(TABLE2)
    page.evaluate(FIRST_NUMBER, [stored, shown])
    rows = [read(copied(page, kind))[0][1][1] for kind, read in READERS.items()]
    assert all(re.search(rf"(?<![\d.-]){shown}(?!\d)", text) for text in rows), rows


def test_what_is_hidden_is_left_out(open_page: Callable) -> None:
    page = open_page(TABLE2)
    before = {kind: copied(page, kind) for kind in (*READERS, "json")}
    page.check("#show-reported")
    for kind, text in before.items():
        assert "MoTE" not in text and "MoTE" in copied(page, kind)
    page.uncheck("#show-reported")
    page.select_option("#group", "Zero-shot")
    assert len(json.loads(copied(page, "json"))[0]["rows"]) < len(json.loads(before["json"])[0]["rows"])


def test_what_a_cell_is_made_of(open_page: Callable) -> None:
    page = open_page(TABLE2)
    cells = [row["mini-HMDB K=2"] for row in json.loads(copied(page, "json"))[0]["rows"]]
    assert all(cell["half_width"] > 0 for cell in cells) and any(cell["best"] for cell in cells)
    best = next(cell for cell in cells if cell["best"])
    assert f"$\\mathbf{{{best['value']:.1f}}}_{{\\pm {best['half_width']:.1f}}}$" in copied(page, "latex")
    assert f"**{best['value']:.1f} ± {best['half_width']:.1f}**" in copied(page, "markdown")
    latex = copied(page, "latex")
    assert all(rule in latex for rule in ("\\toprule", "\\midrule", "\\bottomrule"))


def test_an_ablation_copies_its_changes(open_page: Callable) -> None:
    page = open_page(TABLE3)
    (found,) = json.loads(copied(page, "json"))
    row = next(row for row in found["rows"] if row["Rates"] == "2")
    assert row["mini-UCF Change"]["value"] < 0 and row["mini-UCF Top-1 (%)"]["value"] > 0


def test_a_hostile_name_stays_a_name(open_page: Callable) -> None:
    page = open_page(TABLE2)
    page.evaluate("name => { document.querySelector('table.sortable tbody tr[id] th').textContent = name; }", HOSTILE)
    columns = page.evaluate(SHOWN)[0]["columns"]
    for kind, read in READERS.items():
        (line,) = [line for line in read(copied(page, kind))[0] if "script" in line[0]]
        assert len(line) == columns, kind
        if kind == "csv":
            assert line[0] == HOSTILE
    name = next(cells[0] for cells in latex_rows(copied(page, "latex"))[0] if "script" in cells[0])
    bare = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]", "", name)
    assert not re.search(r"[\\&%$#_{}~^<>|]", bare), "LaTeX would take these as commands, or print other signs"
    name = next(cells[0] for cells in markdown_rows(copied(page, "markdown"))[0] if "script" in cells[0])
    assert not re.search(r"[\\|<*_`\[\]]", re.sub(r"\\[\\|<>*_`\[\]]", "", name)), "Markdown would take these as markup"
    assert any(HOSTILE in row.values() for row in json.loads(copied(page, "json"))[0]["rows"])


@pytest.mark.parametrize("works", [True, False])
def test_without_a_clipboard_the_older_way_copies_the_same(open_page: Callable, works: bool) -> None:
    """A page opened from disk may not use the clipboard. Where neither way works, the button says so."""
    page = open_page(TABLE2)
    expected = copied(page, "csv")
    page.evaluate(OLDER, works)
    button = page.locator("button.copy[data-kind='csv']")
    button.click()
    assert page.evaluate("window.copied") == expected and page.locator("textarea").count() == 0
    assert button.inner_text() == ("Copied" if works else "Not copied")
    assert button.evaluate("e => e === document.activeElement")


def test_a_button_has_its_name_again_after_two_presses(open_page: Callable) -> None:
    page = open_page(TABLE2)
    page.clock.install()
    button = page.locator("button.copy").first
    for _ in range(2):
        copied(page, "latex")
    assert button.inner_text() == "Copied"
    page.clock.run_for(2000)
    assert button.inner_text() == "LaTeX"
