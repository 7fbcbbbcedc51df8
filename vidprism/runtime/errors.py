"""Errors of runs: what went wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class TrainingError(RuntimeError):
    """A run cannot go on; the message names the row, dataset, shots, repeat and step, and what to try."""


class NotWritable(TrainingError):
    """A folder of the results or of the work cannot be written; the fault of the machine and not of a recipe."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(
            f"{path} cannot be written: {why}; what was there before is unharmed. Make room or correct the "
            "permissions, and run `dvc repro` again: finished cells and states are taken up"
        )
