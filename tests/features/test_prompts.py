"""Prompt sets hold the sentences of the literature: their number, the first and last one, and hashes of the texts."""

import hashlib

import pytest

from vidprism.config import ConfigError
from vidprism.features.prompts import PROMPT_SETS, sentences


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("plain", 1, "archery", "archery"),
        ("photo", 1, "a photo of a archery.", "a photo of a archery."),
        ("video", 1, "a video of archery", "a video of archery"),
        ("about", 1, "This is a video about archery", "This is a video about archery"),
        ("actionclip", 16, "a photo of action archery", "The woman is archery"),
        ("clip_ucf", 48, "a photo of a person archery.", "a demonstration of the person practicing archery."),
        ("ssv2", 20, "a video of archery.", "a hand-object interaction of archery."),
        ("ensemble", 28, "a photo of archery.", "a demonstration of a person practicing archery."),
    ],
)
def test_the_sentences_of_a_set(name: str, count: int, first: str, last: str) -> None:
    found = sentences(name, "archery")
    assert (len(found), found[0], found[-1]) == (count, first, last) and len(set(found)) == count
    assert all(template.count("{}") == 1 for template in PROMPT_SETS[name])


def test_no_set_is_untested() -> None:
    assert set(PROMPT_SETS) == {"plain", "photo", "video", "about", "actionclip", "clip_ucf", "ssv2", "ensemble"}


def test_earlier_sets_keep_their_texts() -> None:
    """The features of a dataset hold the texts of these sets: another text would silently be another benchmark."""
    texts = "\n".join(s for name in ("plain", "photo", "video", "ensemble") for s in PROMPT_SETS[name])
    assert hashlib.sha256(texts.encode()).hexdigest()[:16] == "9092200e851a6b7e"


def test_the_ucf_sentences_are_six_verbs_times_two_articles_times_four_nouns() -> None:
    found = set(sentences("clip_ucf", "biking"))
    assert {"a video of the person biking.", "a example of a person during biking."} <= found


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown prompt set 'actoinclip'.*did you mean 'actionclip'"):
        sentences("actoinclip", "archery")
