"""A record as a text file, small enough that the results of many rows fit in git: one value a line, lists of numbers on
one line, and the long strings that hold something for each video compressed.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable
from typing import Any

from vidprism.records.record import Record, ResultsError, check_record

PACKED = "zlib:"
LONG = 200  # characters; a shorter string stays readable
ANSWERS = ("correct", "correct5")


def to_text(record: Record, where: str) -> str:
    """The text of a checked record; equal records give equal texts.

    Raises:
        ResultsError: a record that `from_text` would refuse.
    """
    check_record(record, where)
    return _lines(_with_strings(record, pack)) + "\n"


def from_text(text: str, where: str) -> Record:
    """The record of a text.

    Raises:
        ResultsError: broken JSON, unknown schema, a missing key, or a damaged string.
    """
    try:
        record = _with_strings(json.loads(text), unpack)
    except (ValueError, zlib.error, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(f"{where} is damaged ({error}); delete the file and run `dvc repro`") from error
    check_record(record, where)
    return record


def pack(text: str) -> str:
    """A long string compressed, in base 64 with a prefix; a short one as it is."""
    if len(text) <= LONG:
        return text
    return PACKED + base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")


def unpack(text: str) -> str:
    """The string that `pack` was given.

    Raises:
        ValueError: it is not one of `pack`'s.
    """
    if not text.startswith(PACKED):
        return text
    try:
        return zlib.decompress(base64.b64decode(text.removeprefix(PACKED), validate=True)).decode("ascii")
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"a compressed string cannot be read: {error}") from error


def _with_strings(record: Any, change: Callable[[str], str]) -> Any:
    """The record with `change` applied to every string that has something for each video."""
    if not isinstance(record, dict) or not record.get("cells"):
        return record
    return {**record, "cells": [_cell(cell, change) for cell in record["cells"]]}


def _cell(cell: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    changed = {"groups": change(cell["groups"])} if cell.get("groups") else {}
    repeats = [
        {**repeat, **{name: change(repeat[name]) for name in ANSWERS if name in repeat}} for repeat in cell["repeats"]
    ]
    return {**cell, **changed, "repeats": repeats}


def _lines(value: Any, indent: str = "") -> str:
    """JSON with one entry of a dictionary a line, and a list on one line if it holds neither lists nor dictionaries."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        entries = [f"{inner}{json.dumps(key)}: {_lines(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(entry, (list, dict)) for entry in value):
        return "[\n" + ",\n".join(inner + _lines(entry, inner) for entry in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
