"""Read the data of the tuned track ahead of time and in order: training clips, and groups of videos to score.

With `train.workers`, separate processes decode, so that a decoder that crashes, hangs or exhausts memory only ends its
worker: its item comes back as `Failed`. The workers are forked from a server that has never opened a decoder (a reader
of decord opened before a fork kills the child).
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from pebble import ProcessExpired, ProcessPool
from torch import Tensor
from torch.utils.data import Dataset

from vidprism.finetuning.inputs import VideoInputs
from vidprism.runtime.errors import TrainingError
from vidprism.videos import clips


class Failed(NamedTuple):
    """An item that could not be read, and why."""

    reason: str


class Clips(Dataset):
    """Training clips (T, S, S, 3) with their labels; clip i of pass p over them has the number p * n + i.

    A clip that is sampled or changed at random (`train.sampling`, `train.augment`) depends only on the seed of the
    repeat, the pass, and the position of the video in the list, and neither on the order of the clips nor on the
    process that decodes it.
    """

    def __init__(
        self,
        inputs: VideoInputs,
        positions: np.ndarray,
        sampling: str = "protocol",
        seed: int = 0,
        augment: str = "none",
    ) -> None:
        self.inputs, self.positions, self.labels = inputs, positions, inputs.labels("train")[positions]
        self.sampling, self.seed, self.augment = sampling, seed, augment

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a clip, (T, S, S, 3)."""
        return (self.inputs.n_frames, self.inputs.image_size, self.inputs.image_size, 3)

    def name(self, number: int) -> str:
        """Path of a clip's video below the folder of videos."""
        return self.inputs.name("train", int(self.positions[number % len(self.positions)]))

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        which_pass, i = divmod(number, len(self.positions))
        position = int(self.positions[i])
        if self.sampling == "protocol" and self.augment == "none":
            clip = self.inputs.read("train", np.array([position]))[0, 0]
        else:
            rng = np.random.default_rng((self.seed, which_pass, position))
            clip = self.inputs.draw(position, self.sampling, rng, self.augment)
        return torch.from_numpy(clip), int(self.labels[i])


class Views(Dataset):
    """Groups of videos to score, uint8 (n, V, T, S, S, 3)."""

    def __init__(self, inputs: VideoInputs, split: str, groups: list[np.ndarray]) -> None:
        self.inputs, self.split, self.groups = inputs, split, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(self.inputs.read(self.split, self.groups[i]))


def read_ahead(
    dataset: Clips | Views,
    numbers: Sequence[int],
    workers: int,
    limit_sec: float,
    ahead: int,
    known: Mapping[int, Failed],
) -> Generator[Any]:
    """The items `numbers` of a dataset in their order, or `Failed` for one that cannot be read.

    Args:
        workers: processes that read; 0 reads in this process, which a crash or a hang then affects.
        limit_sec: a worker that takes longer for one item is ended.
        ahead: how many items are requested before their turn.
        known: items (number modulo the length of the dataset) that failed and are not tried again; it may grow.
    """
    if not workers:
        for number in numbers:
            yield known.get(number % len(dataset)) or _read(dataset, number)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPool(workers, context=context, initializer=_adopt, initargs=(dataset,))
    waiting: deque[Future | Failed] = deque()
    left = iter(numbers)
    try:
        while True:
            for number in islice(left, ahead - len(waiting)):
                failed = known.get(number % len(dataset))
                waiting.append(failed or pool.schedule(_read_adopted, [number], timeout=limit_sec))
            if not waiting:
                return
            first = waiting.popleft()
            yield first if isinstance(first, Failed) else _result(first, limit_sec)
    finally:
        pool.stop()  # items that are still being read are not needed
        pool.join()


def _result(future: Future, limit_sec: float) -> Any:
    try:
        return future.result()
    except TooLong:
        return Failed(f"decoding took longer than {limit_sec:g} s")
    except ProcessExpired as error:
        return Failed(f"the process that decoded it ended with {error.exitcode}: decoder crashed")


def _read(dataset: Clips | Views, number: int) -> Any:
    try:
        return dataset[number]
    except MemoryError:
        return Failed("decoding needs more memory than there is")
    except TrainingError as error:
        if isinstance(error.__cause__, clips.Unreadable):
            return Failed(error.__cause__.reason)
        raise


_adopted: Clips | Views


def _adopt(dataset: Clips | Views) -> None:
    """Give a worker its own copy of the dataset."""
    global _adopted
    torch.set_num_threads(1)
    _adopted = dataset


def _read_adopted(number: int) -> Any:
    # arrays, because a pickled tensor is slower
    found = _read(_adopted, number)
    if isinstance(found, Failed):
        return found
    return (found[0].numpy(), found[1]) if isinstance(found, tuple) else found.numpy()
