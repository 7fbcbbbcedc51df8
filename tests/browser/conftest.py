"""A real Chromium without a network, and the pages that it opens."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_pages import copy_pictures, write_fake_log, write_pages, write_rehearsal
from tests.fake_results import fake_config, write_all
from tools.screenshots import ARGUMENTS, SIZES, browser_path

VARIABLE, REQUIRED = "VIDPRISM_BROWSER", "required"
DESKTOP, PHONE, PAPER = SIZES["screen"], SIZES["phone"], SIZES["paper"]
UNFOLD = """() => { for (const part of document.querySelectorAll('details')) part.open = true;
  document.querySelector('#show-reported')?.click(); }"""
SERIOUS = {"serious", "critical"}  # axe's impacts

# Pages of every kind, below reports/. `test_every_kind_of_page_is_opened` compares them with what is written.
TABLES = tuple(f"tables/mini/table{number}.html" for number in range(1, 6))
KINDS = (
    "index.html",
    "overview/mini/index.html",
    "overview/mini/cells.html",
    "overview/mini/trust.html",
    *TABLES,
    "tables/mini/readings.html",
    "tables/mini/rehearsal.html",
    "runs/mini/few_shot/vidprism_c.html",
    "runs/mini/few_shot/clip_zeroshot.html",
)


def executable() -> str:
    """The path of Chromium; skips the test without one, or fails it if one is required."""
    found = browser_path()
    if found:
        return found
    message = "no Chromium is installed (Debian: apt-get install chromium); the variable CHROMIUM may name one"
    if os.environ.get(VARIABLE) == REQUIRED:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder reports/ of the mini profile, from made-up results."""
    config = fake_config(tmp_path_factory.mktemp("pages"))
    write_all(config, {"to_act": 0.9, "rates_2": 0.3, "vidprism_c": 0.75})
    write_fake_log(config)
    copy_pictures(config)
    write_pages(config)
    write_rehearsal(config)
    return config.root_dir / "reports"


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    path = executable()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: object, reports: Path) -> Iterator[Callable]:
    """A function that opens a page below reports/ and returns it. At the end of the test, the console must have stayed
    silent and nothing but the page itself may have been requested.
    """
    contexts, said = [], []

    def opened(name: str, size: tuple[int, int] = DESKTOP, scripts: bool = True, dark: bool = False) -> object:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            offline=True,
        )
        contexts.append(context)
        own = (reports / name).as_uri()
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{name}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"{name}: {error}"))
        page.on("request", lambda request: said.append(request.url) if _other(request.url, own) else None)
        page.goto(own)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not said, said


def _other(url: str, own: str) -> bool:
    return url.partition("#")[0] != own and not url.startswith("data:")


def serious(page: object, *rules: str, within: str = "body") -> list[str]:
    """What axe finds on a page (or a part) of serious or critical impact, by all its rules or by those named."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], **({"runOnly": {"type": "rule", "values": list(rules)}} if rules else {})}
    found = Axe().run(page, within, options).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in SERIOUS]
