"""Two spellings of one path are equal, and the difference of names that look the same is described."""

import pytest

from vidprism.datasets import _names as names


@pytest.mark.parametrize("path", ["a/b.avi", "./a/b.avi", "a//b.avi", "a/./b.avi", ".//a/././/b.avi", "a/b.avi/"])
def test_a_path_has_one_spelling(path: str) -> None:
    assert names.tidy_path(path) == "a/b.avi"


def test_a_path_that_goes_up_is_not_shortened() -> None:
    assert names.tidy_path("a/../b.avi") == "a/../b.avi"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("Open", "open", "case"),
        ("caf\u00e9", "cafe\u0301", "Unicode form (NFC against NFD)"),
        ("open door", "open\tdoor", "blanks (blank against tab)"),
        ("open door", "open\xa0door", "blanks (blank against no-break space)"),
        ("open door", "open  door", "blanks (blank against blank, blank)"),
        ("open door", "opendoor", "blanks (blank against none)"),
        ("open\u2003door", "open door", "blanks (U+2003 against blank)"),
        ("open", "op\u200ben", "invisible characters (none against U+200B)"),
        ("\uff2fpen", "Open", "Unicode form (compatibility characters against NFC)"),
        ("Caf\u00e9 ", "cafe\u0301", "Unicode form (NFC against NFD) and blanks (blank against none) and case"),
        ("open", "open", ""),
        ("open", "close", ""),
        ("open_door", "open door", ""),
    ],
)
def test_the_difference_is_said(first: str, second: str, words: str) -> None:
    assert names.difference(first, second) == words


def test_names_that_look_the_same_are_found() -> None:
    assert names.alike(["run", "walk", "jump", "Walk", "Run"]) == ("walk", "Walk")
    assert names.alike(["run", "run"]) == ("run", "run") and names.alike(["run", "walk"]) is None


def test_a_hint_names_the_known_one_so_that_its_blanks_are_seen() -> None:
    assert names.hint("open door", ["run", "open\tdoor"]) == (
        r"; 'open\tdoor' is there, which differs in blanks (blank against tab)"
    )
    assert names.hint("open", ["open"]) == names.hint("open", ["close"]) == ""
