"""An update's batch in micro-batches that add up to it (`train.accumulate`): less memory, the same gradient.

A micro-batch's objective is weighted by its share of the clips that could be read, over all processes: for an objective
that is a mean over samples the sum is that of the whole batch. What looks at a batch as a whole sees the micro-batch.
Shapes: B this process's part of a batch.
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
    """Of an update's clips none could be read."""

    def __init__(self) -> None:
        super().__init__("no clip of a batch could be read; is the folder of the videos still there?")


def backward(engine: Accelerator, wrapped: Any, frames: Tensor, labels_B: Tensor, n: int) -> Tensor:
    """Add the gradient of an update to the parameters; the objective of its clips, a scalar without gradient.

    Args:
        wrapped: the model as Accelerate prepared it: frames and labels to a scalar.
        frames: (B, ...); `labels_B` is -1 where a clip could not be read.
        n: micro-batches, of which B is a multiple.

    Raises:
        NothingRead: no clip of the update could be read.
    """
    parts = cut(frames, labels_B, n)
    total = torch.zeros((), device=frames.device)
    for i, (part, labels, share) in enumerate(parts, start=1):
        # DistributedDataParallel averages once, after the last one; shards are averaged each time, to hold no whole
        # gradient
        apart = i < len(parts) and hasattr(wrapped, "no_sync")
        with wrapped.no_sync() if apart else nullcontext():
            loss = share * wrapped(part, labels)
            engine.backward(loss)
        total += loss.detach()
    return total


def cut(frames: Tensor, labels_B: Tensor, n: int) -> list[tuple[Tensor, Tensor, float]]:
    """Frames, labels and weight of each of `n` micro-batches; those of which no process can read a clip are left out,
    in all processes.

    Raises:
        NothingRead: none is left.
    """
    if n == 1:
        return [(frames, labels_B, 1.0)]
    readable = processes.total((labels_B >= 0).view(n, -1).sum(1)).tolist()
    if not any(readable):
        raise NothingRead
    parts = zip(frames.chunk(n), labels_B.chunk(n), readable, strict=True)
    return [(part, labels, count / sum(readable)) for part, labels, count in parts if count]
