"""Compare names and paths from external lists: two spellings of one path, and names that look the same.

A name may be composed (NFC) or decomposed (NFD, as macOS writes it), end in a blank, or contain a tab or an invisible
character: https://unicode.org/reports/tr15. Nothing here changes a name; names are compared, and the difference is
reported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import PurePosixPath
from typing import Literal

# the first form that a name has, in words
_FORMS: dict[Literal["NFC", "NFKC", "NFKD"], str] = {"NFKC": "NFC", "NFKD": "NFD", "NFC": "compatibility characters"}
_BLANKS = {" ": "blank", "\t": "tab", "\xa0": "no-break space"}


def tidy_path(path: str) -> str:
    """The normal spelling of a relative path: "./a//b/./c" is "a/b/c". A ".." stays as it is."""
    return str(PurePosixPath(path))


def skeleton(name: str) -> str:
    """A name without case, blanks, invisible characters and Unicode form: equal for names that look the same."""
    return unicodedata.normalize("NFKC", _through(_STEPS.values(), name))


def difference(first: str, second: str) -> str:
    """How two names that look the same differ, for example "case" or "blanks (tab against blank)"; "" if they are equal
    or do not look the same.
    """
    if first == second or skeleton(first) != skeleton(second):
        return ""
    found = []
    for kind in _STEPS:  # a kind of difference counts if it remains when all others are removed
        others = [step for other, step in _STEPS.items() if other != kind]
        if _through(others, first) != _through(others, second):
            about = _ABOUT.get(kind)
            found.append(f"{kind} ({about(first)} against {about(second)})" if about else kind)
    return " and ".join(found) or "characters that stand for the same one"


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two of `names` that are equal or look the same; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        key = skeleton(name)
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the known name that looks the same, and how they differ; "" if there
    is none.
    """
    key = skeleton(name)
    twin = next((other for other in known if other != name and skeleton(other) == key), None)
    return "" if twin is None else f"; {twin!r} is there, which differs in {difference(name, twin)}"


def _through(steps: Iterable[Callable[[str], str]], name: str) -> str:
    return reduce(lambda text, step: step(text), steps, name)


def _normal(name: str) -> str:
    """Convert each run of characters other than blanks to NFKC, which would turn some blanks into others."""
    return re.sub(r"\S+", lambda run: unicodedata.normalize("NFKC", run[0]), name)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Cc") and not character.isspace()


def _form(name: str) -> str:
    return next((words for form, words in _FORMS.items() if unicodedata.is_normalized(form, name)), "a mixture")


def _points(name: str) -> str:
    return ", ".join(f"U+{ord(c):04X}" for c in name if _is_invisible(c)) or "none"


def _blanks(name: str) -> str:
    return ", ".join(_BLANKS.get(c, f"U+{ord(c):04X}") for c in name if c.isspace()) or "none"


_STEPS: dict[str, Callable[[str], str]] = {
    "Unicode form": _normal,
    "invisible characters": lambda name: "".join(c for c in name if not _is_invisible(c)),
    "blanks": lambda name: "".join(name.split()),
    "case": str.casefold,
}
_ABOUT = {"Unicode form": _form, "invisible characters": _points, "blanks": _blanks}
