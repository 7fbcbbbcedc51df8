"""What the tuned track's data loaders hand out. With `train.workers` the videos are decoded in processes of their own.

Workers are spawned and open their readers themselves: a reader of decord that was opened before a fork kills the child.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidprism.training.clips import VideoInputs


class Clips(Dataset):
    """Training clips (T, S, S, 3) with their labels; clip i of pass p over them has the number p * n + i.

    A clip that is sampled at random depends on the repeat's seed, the pass and the video's place in the list alone:
    neither on the order of the clips nor on who decodes it.
    """

    def __init__(self, inputs: VideoInputs, positions: np.ndarray, sampling: str = "protocol", seed: int = 0) -> None:
        self.inputs, self.positions, self.labels = inputs, positions, inputs.labels("train")[positions]
        self.sampling, self.seed = sampling, seed

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        which_pass, i = divmod(number, len(self.positions))
        position = int(self.positions[i])
        if self.sampling == "protocol":
            clip = self.inputs.read("train", np.array([position]))[0, 0]
        else:
            clip = self.inputs.draw(position, self.sampling, np.random.default_rng((self.seed, which_pass, position)))
        return torch.from_numpy(clip), int(self.labels[i])


class Views(Dataset):
    """Groups of videos to score, uint8 (n, V, T, S, S, 3)."""

    def __init__(self, inputs: VideoInputs, split: str, groups: list[np.ndarray]) -> None:
        self.inputs, self.split, self.groups = inputs, split, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(self.inputs.read(self.split, self.groups[i]))


def loader(dataset: Dataset, workers: int, batch_size: int | None, sampler: list[int] | None = None) -> DataLoader:
    """A loader in the order of `sampler`, or of the dataset; `batch_size` None leaves items as they are."""
    apart = {"num_workers": workers, "multiprocessing_context": "spawn"} if workers else {}
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, **apart)
