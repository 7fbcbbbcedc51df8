"""Pictures of the committed pages: on a screen, a phone and paper, and the two pictures of the README.

    python -m tools.screenshots

The pictures go to reports/screenshots/, which git ignores; those of the README to docs/images/. Needs a Chromium
(Debian: apt-get install chromium).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from vidprism.config import Config, find_root, load_config, paths

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZES = {"screen": (1440, 900), "phone": (390, 844), "paper": (1032, 730)}  # CSS pixels; paper: A4 across, no margins
README = {"results": "results", "table2": "table"}  # page -> picture in docs/images


def browser_path() -> str | None:
    """Chromium's path: the variable CHROMIUM, or the first browser on the path; None without one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def pages(config: Config) -> dict[str, Path]:
    """The pages that are photographed, by the name of their pictures."""
    run = sorted(paths.run_pages(config, "few_shot").glob("vidprism_c.html"))
    return {
        "results": paths.overview(config) / "index.html",
        "trust": paths.overview(config) / "trust.html",
        "table2": paths.tables(config) / "table2.html",
        "table3": paths.tables(config) / "table3.html",
        **({"run": run[0]} if run else {}),
    }


def photograph(browser: Any, page_file: Path, size: str, target: Path, whole: bool) -> None:
    """One picture of a page; `whole` shows all of it, otherwise the first screen."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    page = context.new_page()
    if size == "paper":
        page.emulate_media(media="print")
    page.goto(page_file.resolve().as_uri())
    page.screenshot(path=target, full_page=whole, animations="disabled")
    context.close()


def main() -> int:
    """Exit status: 0, or 1 without a browser or without pages."""
    config, path = load_config(), browser_path()
    if path is None:
        print("error: no Chromium is installed (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    missing = [str(file) for file in pages(config).values() if not file.is_file()]
    if missing:
        print(f"error: {missing[0]} is not there; run `dvc repro`", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    folder, images = find_root() / "reports" / "screenshots", find_root() / "docs" / "images"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for name, file in pages(config).items():
            for size in SIZES:
                photograph(browser, file, size, folder / f"{name}-{size}.png", whole=True)
        for name, picture in README.items():
            photograph(browser, pages(config)[name], "screen", images / f"{picture}.png", whole=False)
        browser.close()
    print(f"{len(pages(config)) * len(SIZES)} pictures in {folder}, {len(README)} in {images}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
