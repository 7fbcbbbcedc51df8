"""Turn templates into text: every value is escaped, and an unknown name is an error."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from vidprism.config import Config
from vidprism.report import panels

TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_page(template: str, config: Config, **context: Any) -> str:
    """A page as text; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "signed": signed,
        "losses": losses,
        "option": option,
        "spans": spans,
        "edges": edges,
    }
    environment.globals |= {"anchor": panels.anchor, "repeat_headings": panels.REPEAT_HEADINGS}
    return environment.get_template(f"{template}.html.j2").render(profile=config.profile, **context)


def format_number(value: float | None, digits: int = 1) -> str:
    """A number as the tables print it; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign: a true minus, and no sign on zero."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def losses(label: str) -> Markup:
    """`L_cls + L_rank` with subscripts; other text is only escaped."""
    return Markup(re.sub(r"\bL_([a-z]+)", r"<i>L</i><sub>\1</sub>", str(escape(label))))


def option(value: object) -> str:
    """A switch's value as spelled in params.yaml."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def spans(names: Iterable[str]) -> list[tuple[str, int]]:
    """Runs of equal names with their lengths, for headings that span several columns."""
    return [(name, len(list(run))) for name, run in itertools.groupby(names)]


def edges(names: Iterable[str]) -> list[str]:
    """Per column the CSS class `first` where a run of equal names begins, else an empty string."""
    return ["" if i else "first" for _, run in itertools.groupby(names) for i, _ in enumerate(run)]
