"""One colour for each method on all pages."""

from __future__ import annotations

from vidprism.config import Config
from vidprism.config.rows import rows
from vidprism.report.tables.identity import ENCODERS

OTHERS = 7  # colours s1 to s7 of style.css; s0 is VidPrism's
GROUPS_OF_METHODS = ("few_shot", "closed_set")


def method_colours(config: Config) -> dict[str, str]:
    """The CSS class of each method of the profile (a name under `methods`): s0 for VidPrism, in the paper's reading and
    on any encoder, then s1 to s7 in the order of the rows, from the beginning again after s7.
    """
    found = {row.method: row.options for group in GROUPS_OF_METHODS for row in rows(config, group).values()}
    own = [name for name, options in found.items() if name in ENCODERS and options.get("reading", "paper") == "paper"]
    others = [name for name in found if name not in own]
    return dict.fromkeys(own, "s0") | {name: f"s{1 + i % OTHERS}" for i, name in enumerate(others)}
