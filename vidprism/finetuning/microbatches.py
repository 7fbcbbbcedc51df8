"""Split the batch of an update into micro-batches that add up to it (`train.accumulate`): less memory, the same
gradient.

The objective of a micro-batch is weighted by its share of the readable clips over all processes. For an objective that
is a mean over samples, the sum equals that of the whole batch. A term that depends on the batch as a whole sees only
the micro-batch. Shapes: B this process's part of a batch.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from vidprism.runtime import processes
from vidprism.runtime.errors import TrainingError


class NothingRead(TrainingError):
    """No clip of an update could be read."""

    def __init__(self) -> None:
        super().__init__("no clip of a batch could be read; is the folder of the videos still there?")


def backward(engine: Accelerator, wrapped: Any, frames: Tensor, labels_B: Tensor, n: int) -> Tensor:
    """Add the gradient of an update to the parameters; returns the objective of its clips, a scalar without gradient.

    Args:
        wrapped: the model as Accelerate prepared it: frames and labels to a scalar.
        frames: (B, ...); `labels_B` is -1 where a clip could not be read.
        n: number of micro-batches; B must be a multiple of it.

    Raises:
        NothingRead: no clip of the update could be read.
    """
    parts = cut(frames, labels_B, n)
    total = torch.zeros((), device=frames.device)
    for i, (part, labels, share) in enumerate(parts, start=1):
        # DistributedDataParallel averages once, after the last micro-batch; shards are averaged each time, so that
        # no process holds a whole gradient
        apart = i < len(parts) and hasattr(wrapped, "no_sync")
        with wrapped.no_sync() if apart else nullcontext():
            loss = share * wrapped(part, labels)
            engine.backward(loss)
        total += loss.detach()
    return total


def cut(frames: Tensor, labels_B: Tensor, n: int) -> list[tuple[Tensor, Tensor, float]]:
    """Frames, labels and weight of each of `n` micro-batches. A micro-batch without a readable clip in any process is
    left out in all of them.

    Raises:
        NothingRead: none is left.
    """
    if n == 1:
        return [(frames, labels_B, 1.0)]
    readable = processes.sum_over_processes((labels_B >= 0).view(n, -1).sum(1)).tolist()
    if not any(readable):
        raise NothingRead
    parts = zip(frames.chunk(n), labels_B.chunk(n), readable, strict=True)
    return [(part, labels, count / sum(readable)) for part, labels, count in parts if count]
