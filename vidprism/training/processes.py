"""Several processes as one: what a launcher such as torchrun asked for, and how processes that train one row exchange
what they found.

Every process calls `gather` and `from_first` at the same places, in the same order. One alone needs no launcher.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import distributed

from vidprism.training.recipe import TrainingError

Found = TypeVar("Found")


def asked(where: str) -> int:
    """World size that a launcher asked for; 1 without one.

    Raises:
        TrainingError: WORLD_SIZE is no number of processes.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise TrainingError(
            f"{where}: the environment variable WORLD_SIZE is {text!r}, not a number of processes; unset it, or start "
            "the processes with a launcher such as torchrun, which sets it"
        )
    return int(text)


def one_alone(where: str, what: str) -> None:
    """Refuse to go on beside other processes.

    Raises:
        TrainingError: a launcher started more than one; `what` trains in one.
    """
    n = asked(where)
    if n != 1:
        raise TrainingError(f"{where}: {n} processes were started, and {what} trains in one; start one")


def join(where: str) -> None:
    """Meet the other processes of the launcher, if there are any.

    Raises:
        TrainingError: fewer processes met than the launcher asked for.
    """
    n = asked(where)
    if n > 1:
        from accelerate import PartialState  # only here: a row in one process need not wait for its import

        PartialState(cpu=not torch.cuda.is_available())
    if count() != n:
        raise TrainingError(f"{where}: {n} processes were asked for and {count()} met; start them with torchrun")


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def gather(value: Found) -> list[Found]:
    """The values of all processes, in the order of their ranks."""
    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, value)
    return found


def from_first(make: Callable[[], Found]) -> Found:
    """What the first process makes, for all: the others wait for it, so that it alone touches files."""
    if count() == 1:
        return make()
    box = [make() if rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
