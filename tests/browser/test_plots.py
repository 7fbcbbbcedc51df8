"""`dvc plots show` in a browser without a network."""

from pathlib import Path

import pytest

from tests.tools.test_plots_page import shown

pytestmark = pytest.mark.slow


def test_every_plot_is_drawn_without_a_network(chromium: object, tmp_path: Path) -> None:
    shown(tmp_path)
    context = chromium.new_context(offline=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "shown" / "index.html").as_uri())
    page.wait_for_function("document.querySelectorAll('canvas, svg.marks').length == 4")
    drawn = set(page.locator("#fourth svg.marks text").all_text_contents())
    assert {"ucf101", "my_set", "k2", "all"} <= drawn, "a column for each dataset, a colour for each number of shots"
    assert not any("repeat" in text for text in drawn), "repeats are one line, their mean"
    assert not said
    context.close()
