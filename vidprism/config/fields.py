"""Types for the fields of params.yaml: pydantic types with their limits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

STRICT = ConfigDict(extra="forbid")


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"must be a number written like 0.001, not {value!r}")
    return float(value)


def _options(value: Any) -> Any:
    return {} if value is None else value  # `name:` without a value


def number_of_processes(value: Any) -> Any:
    """`auto`, or how many processes.

    Raises:
        ValueError: anything else.
    """
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError(f"must be `auto` or a number of processes, not {value!r}")
    return value


Count = Annotated[StrictInt, Field(gt=0)]
CountFrom0 = Annotated[StrictInt, Field(ge=0)]
Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
From0 = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
Seeds = Annotated[tuple[CountFrom0, ...], Field(min_length=1)]
Names = tuple[StrictStr, ...]
Key = Annotated[str, BeforeValidator(str)]  # YAML reads some keys as numbers
Options = Annotated[dict[str, Any], BeforeValidator(_options)]
