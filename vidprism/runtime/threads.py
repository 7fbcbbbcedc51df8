"""Independent cells side by side, one core each.

The tensors of the heads are small. Two cells on one core each are faster than one cell on two cores, do not slow each
other down on a busy machine, and give the same bits for any number of cells at once, because no kernel splits its sums
over threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from vidprism.runtime import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int, what: str, split: bool = True
) -> list[Result]:
    """Results of `work` for every item, in order; their progress is shown.

    Args:
        threads: cores to use.
        what: an item in a word, such as "cell".
        split: run `threads` items at once on one core each; False runs them one by one on all of them (large
            models, or a GPU).

    Raises:
        Whatever `work` raises, for the first failed item in order; items that have not started are dropped.
    """
    torch.set_num_threads(1 if split else threads)
    if not split or threads == 1 or torch.cuda.is_available():
        # in this thread: no item starts after a failure, and the current CUDA device belongs to a thread
        return [work(item) for item in progress.track(items, what)]
    with progress.counting(what, len(items)) as level, ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(_counted, work, item, level) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)


def _counted(work: Callable[[Item], Result], item: Item, level: progress.Level) -> Result:
    with level.item():
        return work(item)
