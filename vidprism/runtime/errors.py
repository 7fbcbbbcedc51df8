"""Errors of runs: what went wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class TrainingError(RuntimeError):
    """A run cannot continue. The message names the row, dataset, shots, repeat and step, and says what to try."""


class NotWritable(TrainingError):
    """A folder of results or of unfinished work cannot be written. The machine is at fault, not the recipe."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(
            f"{path} cannot be written: {why}; earlier files are intact. Make room or correct the "
            "permissions, and run `dvc repro` again: it continues from the finished cells and saved states"
        )
