"""A small network on several cores: parts of a batch side by side, each on one core.

Where every operation of a network is small, a second core for each of them gains nothing; a second part of the batch
does.
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
    """A `map` over parts, `threads` of them at once, each on one core."""
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
    """The loss of a batch and its gradients, as means over parts of it that are worked on side by side, each weighted
    with its clips.

    Every gradient lies in memory as its (contiguous) parameter does, as after ``backward``: torch's fused AdamW on a
    CPU takes both in the order of their memory, and would give the elements of a permuted gradient to others.
    """
    parameters = list(module.parameters())

    def part(tensors: tuple[Tensor, ...]) -> tuple[float, tuple[Tensor, ...]]:
        share = len(tensors[0]) / len(batch[0])
        loss = share * module(*tensors)
        return loss.item(), torch.autograd.grad(loss, parameters)

    losses, gradients = zip(*run(part, zip(*(t.chunk(n_parts) for t in batch), strict=True)), strict=True)
    return sum(losses), tuple(sum(of_one).contiguous() for of_one in zip(*gradients, strict=True))
