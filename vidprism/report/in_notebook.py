"""A page shown inside a notebook: in a frame of its own, so that neither restyles the other."""

from __future__ import annotations

import html
import re
from pathlib import Path

HEIGHT_PX = 720


class PageView:
    """A page as the value of a notebook cell.

    Links of the page are text here: in a frame they would be relative to the notebook, and lead nowhere.
    """

    def __init__(self, page: Path, name: str) -> None:
        self.page, self.name = page, name

    def _repr_html_(self) -> str:
        text = re.sub(r'(<a\b[^>]*?) href="[^"]*"', r"\1", self.page.read_text(encoding="utf-8"))
        name = html.escape(self.name)
        return (
            f'<iframe title="{name}" srcdoc="{html.escape(text)}" sandbox="allow-scripts" width="100%" '
            f'height="{HEIGHT_PX}" style="border: 1px solid #8a93a1"></iframe><p>Links work in <code>{name}</code>.</p>'
        )


def view(page: Path, root: Path) -> PageView:
    """A page to be shown by a notebook.

    Args:
        page: an HTML file of the report.
        root: folder of params.yaml; the page is named by its path below it.
    """
    return PageView(page, page.relative_to(root).as_posix())
