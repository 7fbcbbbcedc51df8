"""Errors of params.yaml in one sentence each: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

TYPES = {"int_type": "int", "string_type": "str", "bool_type": "bool"}
KINDS = {"tuple_type": "a list", "list_type": "a list", "dict_type": "a mapping", "is_instance_of": "a mapping"}
BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
WORDS = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "at most {}"}


class ConfigError(ValueError):
    """Something in params.yaml is wrong; the message says what, where and what to do."""


def nearest(name: str, known: Iterable[Any]) -> str:
    """The phrase that ends an error about an unknown name: the nearest known one, and all of them."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def build_section(cls: type, raw: Any, where: str) -> Any:
    """Build a dataclass of `vidprism.config.schema` from the value found at `where` in params.yaml.

    Raises:
        ConfigError: not a mapping; a key that is unknown or missing; a value that its field does not allow.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"params.yaml: {where} must be a mapping of keys to values, not {raw!r}")
    try:
        return TypeAdapter(cls).validate_python(raw)
    except ValidationError as error:
        raise ConfigError(f"params.yaml: {_explain(cls, error.errors(), where)}") from error


def mapping(value: Any, where: str) -> dict[str, Any]:
    """The mapping at `where` in params.yaml; an empty entry (`name:`) counts as an empty mapping.

    Raises:
        ConfigError: a number, a text or a list.
    """
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"params.yaml: {where} must be a mapping of options to values, not {value!r}")
    return dict(value or {})


def _explain(cls: type, errors: list[Any], where: str) -> str:
    """Describe the first error. Unknown keys come first, because they often explain why another key is missing."""
    unknown = [error for error in errors if error["type"] == "unexpected_keyword_argument"]
    first = (unknown or errors)[0]
    kind, value, at = first["type"], first["input"], ".".join([where, *map(str, _keys(first["loc"]))])
    section, _, key = at.rpartition(".")
    if kind == "unexpected_keyword_argument":
        return f"unknown key '{at}'; {nearest(key, _known(cls, first['loc'][:-1]))}"
    if kind == "missing":
        parts = first["loc"][:-1]
        lost = [str(error["loc"][-1]) for error in errors if error["type"] == kind and error["loc"][:-1] == parts]
        return f"{section} lacks {', '.join(lost)}"
    if kind == "literal_error":
        return f"{at} must not be {value!r}; {nearest(value, _literals(first['ctx']['expected']))}"
    if kind == "too_short":
        return f"{at} must not be empty; list at least one"
    if kind == "finite_number":
        return f"{at} must be a finite number, not {value!r}"
    if kind in BOUNDS:
        bound = BOUNDS[kind]
        limit = WORDS[bound].format(f"{first['ctx'][bound]:g}")
        return f"{at} must be {limit}, not {value!r}"
    if kind == "value_error":
        return f"{at} {first['ctx']['error']}"
    expected = TYPES.get(kind) or KINDS.get(kind) or "a mapping"
    return f"{at} must be {expected}, not {value!r}"


def _keys(loc: tuple[Any, ...]) -> list[Any]:
    return [part for part in loc if not isinstance(part, int)]  # an index into a list is not a key


def _known(cls: type, loc: tuple[Any, ...]) -> list[str]:
    """The keys of the section at `loc` below a profile."""
    for part in _keys(loc):
        hints = typing.get_type_hints(cls)
        if part not in hints:
            continue  # the name of an entry, such as a backbone
        found = hints[part]
        while typing.get_origin(found) is dict:
            found = typing.get_args(found)[-1]
        cls = found
    return [f.name for f in fields(cls)]


def _literals(expected: str) -> list[str]:
    """pydantic's "'a', 'b' or 'c'" as a list."""
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]
