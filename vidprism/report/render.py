"""Turn templates into text: every value is escaped, and an unknown name is an error.

A page has one style sheet and one script, both from `templates/`. The page's content security policy names the script
by its hash, so that no other one runs.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from vidprism.config import Config
from vidprism.report import panels
from vidprism.report.numbers import format_number, signed

TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_page(template: str, config: Config | None, file: str, **context: Any) -> str:
    """A page as text; every value is escaped.

    Args:
        template: name in `templates/`, without `.html.j2`.
        config: its profile is named on the page and in the navigation; None for the page of all profiles.
        file: path of the page below `reports/`, from which its links are relative.
        context: what the template reads.
    """
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
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8").strip()
    frame = {
        "profile": config.profile if config else None,
        "random_weights": config is not None
        and any(backbone.weights == "random" for backbone in config.profile.backbones.values()),
        "navigation": navigation(config) if config else (),
        "base": "../" * file.count("/"),
        "page_file": file,
        "script": Markup(script),  # the suite's own text, not a value
        "script_hash": script_hash(script),
    }
    return environment.get_template(f"{template}.html.j2").render(**frame, **context)


def navigation(config: Config) -> tuple[tuple[str, str], ...]:
    """The pages of a profile as (path below reports/, name), in the order of the navigation."""
    name = config.profile.name
    tables = tuple((f"tables/{name}/{table}.html", f"Table {table[5:]}") for table in config.profile.tables)
    return (
        (f"overview/{name}/index.html", "Results"),
        (f"overview/{name}/cells.html", "Cell by cell"),
        *tables,
        (f"tables/{name}/readings.html", "Readings"),
        (f"overview/{name}/trust.html", "Data and trust"),
    )


def script_hash(script: str) -> str:
    """A script as a content security policy names it: `sha256-` and the hash in base 64."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


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


def has_only_its_script(text: str) -> bool:
    """Whether a page holds a single script, and its content security policy names this script."""
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    return text.count("<script") == len(scripts) == 1 and f"script-src '{script_hash(scripts[0])}'" in text
