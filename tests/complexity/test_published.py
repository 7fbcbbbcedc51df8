"""The printed costs of Table 1 on one scale: counts of the literature, and a verdict for every row."""

from __future__ import annotations

import pytest

from vidprism import methods, paper
from vidprism.complexity import published

ROWS = {(row.name, int(row.labels["frames"])): row for row in paper.load_published(1)}

# Counted by others or in the methods' own papers, 10^9 multiply-adds of a view.
KNOWN = {
    ("ETL-ViCLIP-B/16", 8): (188.2, "no number printed"),
    ("ST-Adapter-B/16", 8): (151.6, "2% below"),
    ("ST-Adapter-B/16", 32): (606.5, "agrees"),
    ("ST-Adapter-L/14", 8): (686.8, "agrees"),
    ("ST-Adapter-L/14", 32): (2747.2, "agrees"),
    ("AIM-B/16", 8): (202.1, "agrees"),
    ("AIM-L/14", 8): (933.5, "agrees"),
    ("ActionCLIP-B/16", 32): (562.6, "agrees"),
    ("X-CLIP-B/16", 8): (144.2, "agrees"),
    ("Vita-CLIP-B/16", 16): (303.2, "below its own backbone"),
    ("STAN-conv-B/16", 8): (290.6, "18% below"),
    ("M²-CLIP-B/16", 8): (162.8, "31% above"),
    ("M²-CLIP-B/16", 32): (651.4, "29% above"),
    ("M²-CLIP-L/14", 32): (2903.2, "no number printed"),
    ("Ost-B/16", 16): (281.0, "no number printed"),
    ("DUALPATH-L/14", 32): (881.3, "no number printed"),
    ("MoTE-B/16", 8): (140.6, "agrees"),
    ("MoTE-L/14", 8): (648.4, "agrees"),
    ("MoTE-L/14", 16): (1296.9, "agrees"),
    ("Text4Vis-L/14", 32): (2593.8, "counts no attention"),
    ("VidPrism-B/16", 8): (140.5, "15% above"),
    ("VidPrism-B/16", 32): (562.2, "twice a count without attention"),
    ("VidPrism-L/14", 8): (648.2, "below its own backbone"),
    ("VidPrism-L/14", 32): (2592.8, "agrees"),
}


@pytest.mark.parametrize("name", KNOWN, ids=str)
def test_counts_and_verdicts(name: tuple[str, int]) -> None:
    check = published.check_published(ROWS[name])
    assert (pytest.approx(check.gmacs, abs=0.1), check.verdict) == KNOWN[name]


@pytest.mark.parametrize("key", sorted(published.OPTIONS.keys() - {"vidprism_c"}))
def test_the_options_are_those_of_the_method(key: str) -> None:
    assert published.OPTIONS[key] == methods.resolve(key, {}, 32)


def test_every_other_row_says_why_it_is_not_counted() -> None:
    for name, row in ROWS.items():
        if name not in KNOWN:
            check = published.check_published(row)
            assert check.gmacs is None and check.verdict.startswith("not counted: ") and check.text == "–"


def test_verdicts() -> None:
    assert published.verdict(None, 10, 9, 5) == "no number printed"
    assert published.verdict(12, 10, 9, 5) == "20% above"
    assert published.verdict(9.5, 10, 9, 4) == "5% below"
    assert published.verdict(8, 10, 9, 5) == "below its own backbone"
