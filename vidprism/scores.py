"""Scores on disk: one ``scores.npz`` per row, read without torch.

Arrays of the cell `<dataset>_k<shots>` (`_all` for the whole training list), N listed videos in manifest
order: `<cell>` float32 (R repeats, N, V views, C classes), logits, NaN for unreadable videos; `<cell>_labels`
int (N,); with experts also `<cell>_experts` (R, N, E), weights in the test videos, and `<cell>_usage_train`
(R, C, E), mean weights over each class's training clips. Logits are kept per view so that another fusion can
be computed from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from zipfile import BadZipFile
from zlib import error as BadStream

import numpy as np

from vidprism.record import ResultsError


@dataclass(frozen=True)
class CellScores:
    """The scores of one cell; shapes in the module's text."""

    logits: np.ndarray
    labels: np.ndarray
    experts: np.ndarray | None = None
    usage_train: np.ndarray | None = None


def spread(values_RN: np.ndarray, readable: np.ndarray, n_listed: int) -> np.ndarray:
    """Values (R, readable videos, ...) at their places among the listed videos (R, n_listed, ...), NaN
    elsewhere; float32.
    """
    full = np.full((values_RN.shape[0], n_listed, *values_RN.shape[2:]), np.nan, dtype=np.float32)
    full[:, readable] = values_RN
    return full


def save(path: Path, cells: dict[str, CellScores]) -> None:
    """Write the scores of a row's cells, by cell key."""
    arrays = {}
    for key, cell in cells.items():
        arrays |= {key: cell.logits, f"{key}_labels": cell.labels}
        arrays |= {
            f"{key}_{name}": value for name in ("experts", "usage_train") if (value := getattr(cell, name)) is not None
        }
    np.savez_compressed(path, **arrays)


def load(path: Path, key: str) -> CellScores:
    """The scores of one cell.

    Raises:
        ResultsError: the file is missing or damaged, or has no such cell.
    """
    try:
        with np.load(path) as stored:
            names = [name for name in ("experts", "usage_train") if f"{key}_{name}" in stored]
            optional = {name: stored[f"{key}_{name}"] for name in names}
            return CellScores(stored[key], stored[f"{key}_labels"], **optional)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, BadStream) as error:
        raise ResultsError(
            f"{path}: the scores of {key} cannot be read ({error}); delete the folder {path.parent} and run `dvc repro`"
        ) from error


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder that appears complete or not at all: yields a temporary one beside `target`, which takes its
    place at the end.

    If the block raises, the temporary folder is removed and what `target` held stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp makes it private
        if target.exists():
            old = Path(mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.rename(old / "was")
            fresh.rename(target)
            rmtree(old)
        else:
            fresh.rename(target)
    finally:
        rmtree(fresh, ignore_errors=True)
