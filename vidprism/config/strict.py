"""A dataclass from a mapping, strictly: an unknown, missing or mistyped key is an error that names the nearest one."""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any


class ConfigError(ValueError):
    """Something in params.yaml is wrong; the message says what, where and what to do."""


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """The phrase that ends an error about an unknown name: the nearest known one, and all of them."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def build(cls: type, raw: Any, where: str) -> Any:
    """An instance of the dataclass `cls` from the mapping found at `where` in params.yaml; lists become tuples.

    Raises:
        ConfigError: not a mapping; a key that is unknown, missing or of another type.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"params.yaml: {where} must be a mapping of keys to values, not {raw!r}")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in raw:
        if key not in known:
            raise ConfigError(f"params.yaml: unknown key '{where}.{key}'; {nearest(key, known)}")
    missing = [n for n, f in known.items() if n not in raw and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise ConfigError(f"params.yaml: {where} lacks {', '.join(missing)}")
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in raw.items()})


def mapping(value: Any, where: str) -> dict[str, Any]:
    """The mapping found at `where` in params.yaml; nothing at all (`name:`) is an empty one.

    Raises:
        ConfigError: a number, a text or a list.
    """
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"params.yaml: {where} must be a mapping of options to values, not {value!r}")
    return dict(value or {})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return build(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(args[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"params.yaml: {where} must be a list, not {value!r}")
        return tuple(_convert(args[0], v, where) for v in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"params.yaml: {where} must be a mapping, not {value!r}")
        return {str(k): _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float:
        if type(value) not in (int, float):  # YAML 1.1 reads 1e-3 as a text
            raise ConfigError(f"params.yaml: {where} must be a number written like 0.001, not {value!r}")
        return float(value)
    if hint in (int, str, bool) and type(value) is not hint:
        raise ConfigError(f"params.yaml: {where} must be {hint.__name__}, not {value!r}")
    return mapping(value, where) if hint is dict else value
