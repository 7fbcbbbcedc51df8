"""Train a small network on several cores: parts of a batch side by side, each on one core.

If every operation of a network is small, a second core gains nothing within an operation; it does with a second part of
the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[[Callable[..., Any], Iterable[Any]], list[Any]]


@contextmanager
def one_core_each(threads: int) -> Iterator[Run]:
    """A `map` over parts that runs `threads` of them at once, each on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield lambda work, parts: list(pool.map(work, parts))
    finally:
        torch.set_num_threads(before)


def mean_gradients(
    module: nn.Module, batch: tuple[Tensor, ...], run: Run, n_parts: int
) -> tuple[float, tuple[Tensor, ...]]:
    """The loss of a batch and its gradients, as means over parts that are processed side by side, weighted by their
    number of clips.

    Every gradient has the memory layout of its (contiguous) parameter, as after ``backward``. torch's fused AdamW on a
    CPU reads both in memory order, and would assign the elements of a permuted gradient to the wrong parameters.
    """
    parameters = list(module.parameters())

    def part(tensors: tuple[Tensor, ...]) -> tuple[float, tuple[Tensor, ...]]:
        share = len(tensors[0]) / len(batch[0])
        loss = share * module(*tensors)
        return loss.item(), torch.autograd.grad(loss, parameters)

    losses, gradients = zip(*run(part, zip(*(t.chunk(n_parts) for t in batch), strict=True)), strict=True)
    return sum(losses), tuple(sum(of_one).contiguous() for of_one in zip(*gradients, strict=True))
