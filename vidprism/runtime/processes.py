"""Several processes that train one row together: what the launcher (such as torchrun) set up, and how they exchange
data.

Every process calls `gather`, `from_first`, `whole_batch` and `sum_over_processes` at the same places and in the same
order. A single process needs no launcher. A process that does not reach the next such place in time reports where it is
and exits (`runtime/watchdog.py`).
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


def requested_size(where: str) -> int:
    """World size set by a launcher; 1 without a launcher.

    Raises:
        TrainingError: WORLD_SIZE is not a number of processes.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise TrainingError(
            f"{where}: the environment variable WORLD_SIZE is {text!r}, not a number of processes; unset it, or start "
            "the processes with a launcher such as torchrun, which sets it"
        )
    return int(text)


def one_alone(where: str, what: str) -> None:
    """Refuse to continue beside other processes.

    Raises:
        TrainingError: a launcher started several processes, and `what` trains in one.
    """
    n = requested_size(where)
    if n != 1:
        raise TrainingError(f"{where}: {n} processes were started, but {what} trains in a single process; start one")


def meet(where: str, timeout_sec: float = 600.0) -> None:
    """Meet the other processes of the launcher, if any. From then on, a process that makes no progress for
    `timeout_sec` exits.

    Raises:
        TrainingError: fewer processes met than the launcher started.
    """
    n = requested_size(where)
    if n > 1:
        from accelerate import PartialState  # imported here: a row in one process need not wait for it

        # the watchdog reports first: it says more than the time-out of a library
        PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(seconds=2 * timeout_sec))
    if world_size() != n:
        raise TrainingError(f"{where}: {n} processes were requested but {world_size()} met; start them with torchrun")
    if n > 1:
        watchdog.start(rank(), n, timeout_sec)
        watchdog.alive(where)


_apart = False


@contextmanager
def independent() -> Iterator[tuple[int, int]]:
    """Inside the block every process works independently and exchanges nothing. Yields its rank and the number of
    processes.
    """
    global _apart
    here = rank(), world_size()
    _apart = True
    try:
        yield here
    finally:
        _apart = False


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() and not _apart else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() and not _apart else 0


def is_first() -> bool:
    """Whether this is the first process of the launcher, also while the processes work independently."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def gather(value: Found) -> list[Found]:
    """The values of all processes, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    distributed.all_gather_object(found, value)
    return found


def each(change: Callable[[Tensor], Tensor], encoded: Any) -> Any:
    """`change` applied to a tensor, or to every tensor of a dict."""
    return {key: change(part) for key, part in encoded.items()} if isinstance(encoded, dict) else change(encoded)


def whole_batch(encoded: Any, labels_B: Tensor) -> tuple[Any, Tensor]:
    """Encoded clips (a tensor or a dict of tensors, B first, with gradient) and labels of the whole batch; each process
    brings an equal part of it.

    Every process computes the same result from them, so the gradient of a part comes back once from each process: a sum
    of equal numbers. The mean over processes that follows turns it into a single one.
    """
    if world_size() == 1:
        return encoded, labels_B
    return each(_Gathered.apply, encoded), _gathered(labels_B)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum over processes, element by element."""
    if world_size() == 1:
        return values
    found = values.clone()
    distributed.all_reduce(found)
    return found


def _gathered(part: Tensor) -> Tensor:
    parts = [torch.empty_like(part) for _ in range(world_size())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


class _Gathered(torch.autograd.Function):
    """Concatenates the parts of all processes; the gradient of a part is the sum of its gradients in all processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        return _gathered(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient.contiguous()).chunk(world_size())[rank()]


def from_first(make: Callable[[], Found]) -> Found:
    """The result of `make` in the first process, sent to all. The others wait, so that only the first touches files."""
    if world_size() == 1:
        return make()
    box: list[Any] = [make() if rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
