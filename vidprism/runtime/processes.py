"""Several processes as one: what a launcher such as torchrun asked for, and how processes that train one row exchange
what they found.

Every process calls `gather`, `from_first`, `whole_batch` and `total` at the same places, in the same order. One alone
needs no launcher. A process that has not come to the next place in time ends, and says where it stands
(`runtime/watchdog.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from vidprism.runtime import watchdog
from vidprism.runtime.errors import TrainingError

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


def join(where: str, timeout_sec: float = 600.0) -> None:
    """Meet the other processes of the launcher, if there are any; from then on a process that stands still for
    `timeout_sec` ends.

    Raises:
        TrainingError: fewer processes met than the launcher asked for.
    """
    n = asked(where)
    if n > 1:
        from accelerate import PartialState  # only here: a row in one process need not wait for its import

        # the watch speaks first: it says more than a library's own time-out
        PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(seconds=2 * timeout_sec))
    if count() != n:
        raise TrainingError(f"{where}: {n} processes were asked for and {count()} met; start them with torchrun")
    if n > 1:
        watchdog.start(rank(), n, timeout_sec)
        watchdog.alive(where)


_apart = False


@contextmanager
def apart() -> Iterator[tuple[int, int]]:
    """In here every process works by itself, as if it were alone: nothing is exchanged. Gives its rank and how many
    there are.
    """
    global _apart
    here = rank(), count()
    _apart = True
    try:
        yield here
    finally:
        _apart = False


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() and not _apart else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() and not _apart else 0


def is_first() -> bool:
    """Whether this is the first of the launcher's processes, also while they work apart."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def gather(value: Found) -> list[Found]:
    """The values of all processes, in the order of their ranks."""
    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, value)
    return found


def whole_batch(features_BTD: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """The features, with their gradient, and the labels of the whole batch, of which each process has an equal part.

    What every process makes of them is the same, so that the gradient of a part comes back once from each process: the
    sum of equal numbers, of which the mean over processes that follows leaves one.
    """
    if count() == 1:
        return features_BTD, labels_B
    return _Gathered.apply(features_BTD), _gathered(labels_B)


def total(values: Tensor) -> Tensor:
    """The sum over processes, element by element."""
    if count() == 1:
        return values
    found = values.clone()
    distributed.all_reduce(found)
    return found


def _gathered(part: Tensor) -> Tensor:
    parts = [torch.empty_like(part) for _ in range(count())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


class _Gathered(torch.autograd.Function):
    """The parts of all processes; the gradient of a part is the sum of what the processes have for it."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        return _gathered(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient.contiguous()).chunk(count())[rank()]


def from_first(make: Callable[[], Found]) -> Found:
    """What the first process makes, for all: the others wait for it, so that it alone touches files."""
    if count() == 1:
        return make()
    box: list[Any] = [make() if rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
