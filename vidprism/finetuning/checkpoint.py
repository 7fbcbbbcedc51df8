"""The state of a training on disk, so that an interrupted training can continue.

A state is a file beside the finished cells (`vidprism.runs.finished_cells`), outside every output of DVC. The name of
its folder is a hash of everything that determines the result, so that a run with other settings, data, code or
libraries never finds it. The state is written to a temporary file, flushed to disk and renamed, so that a file with the
final name is complete. Of several processes, the first one writes and all read; several machines therefore need a
shared file system.
"""

from __future__ import annotations

import os
import pickle
import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidprism.runtime import processes
from vidprism.runtime.errors import NotWritable, TrainingError

State = dict[str, Any]


@dataclass(frozen=True)
class Keeper:
    """Saves the state of one repeat every `every` updates; without a path it saves nothing."""

    path: Path | None = None
    every: int = 0

    def due(self, step: int, last: int) -> bool:
        """Whether to save after `step` of `last` updates: at the interval, and at the end, before the scoring."""
        return self.path is not None and self.every > 0 and (step % self.every == 0 or step == last)

    def load(self) -> State | None:
        """The saved state with its tensors on the CPU; None if there is none.

        Raises:
            TrainingError: the file is not a state of this suite.
        """
        if self.path is None or not processes.from_first(self.path.is_file):
            return None
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise TrainingError(
                f"{self.path} is not a valid training state ({error}); delete it, and that repeat starts again"
            ) from error

    def save(self, state: State) -> None:
        """Replace the earlier state, completely or not at all.

        Raises:
            NotWritable: a full disk, a folder without write permission; the earlier state is unchanged.
        """
        if self.path is None:
            return
        failed = processes.from_first(lambda: self._write(state))
        if failed:
            raise NotWritable(self.path, failed)

    def _write(self, state: State) -> str:
        """Why writing failed, or "". The error is returned so that it can reach every process."""
        assert self.path is not None, "save a state only where `due` says so"
        partial = self.path.with_suffix(".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's writer raises the latter on a full disk
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return str(error)
        return ""


def generators() -> State:
    """The state of every random generator of this process."""
    state: Any = np.random.get_state()
    version, keys, *position = state
    return {
        "python": random.getstate(),
        "numpy": (version, torch.from_numpy(keys.astype(np.int64)), *position),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_generators(state: State) -> None:
    """Restore the random generators to the states saved by `generators`."""
    random.setstate(state["python"])
    version, keys, *position = state["numpy"]
    np.random.set_state((version, keys.numpy().astype(np.uint32), *position))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
