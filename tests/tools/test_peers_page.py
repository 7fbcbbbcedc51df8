"""The page of peers says what the methods' files say, and the committed one is of these files."""

import pytest

from tools import peers_page
from vidprism import methods, paper
from vidprism.complexity import published
from vidprism.config import find_root


def test_the_committed_page_is_of_these_files() -> None:
    written = (find_root() / peers_page.PAGE).read_text(encoding="utf-8")
    assert written == peers_page.page(), "run python -m tools.peers_page"


@pytest.mark.parametrize("key", peers_page.peers())
def test_every_peer_names_its_source(key: str) -> None:
    said = peers_page.source(key)
    assert said.endswith(")") and any(
        venue in said for venue in ("CVPR", "ECCV", "ICCV", "ICLR", "AAAI", "NeurIPS", "arXiv")
    )


def test_choices_are_whole_sentences() -> None:
    said = [sentence for key in peers_page.peers() for sentence in peers_page.choices(key)]
    assert len(said) > 5
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in said)


def test_every_counted_method_of_the_paper_is_a_peer() -> None:
    assert published.OPTIONS.keys() - {"vidprism_c"} <= set(peers_page.peers())
    rows = paper.load_published(1)
    assert {row.run for row in rows} <= published.OPTIONS.keys() | {""}
    assert published.OPTIONS.keys() == {*peers_page.peers(), "vidprism_c"}
    silent = {row.name.split("-B/16")[0].split("-L/14")[0] for row in rows if not row.run}
    assert silent == published.NOT_MODELLED.keys()


def test_printed_costs_stand_beside_the_counts() -> None:
    assert "B/16, 8 frames: 202 against 202.1 (agrees)" in peers_page.printed("aim")
    assert peers_page.printed("a5") == "no row"
    assert not methods.says("mean_pool", "IS_PEER")
