"""Scores on disk: one ``scores.npz`` per row, read without torch.

Arrays of the cell `<dataset>_k<shots>` (`_all` for the whole training list) with N listed videos in manifest order:
`<cell>` float32 (R repeats, N, V views, C classes), logits, NaN for unreadable videos; `<cell>_labels` int (N,). A
method with experts adds `<cell>_experts` (R, N, E), the weights in the test videos, and `<cell>_usage_train` (R, C, E),
the mean weights over the training clips of each class. Logits are kept per view so that another fusion can be computed
from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile
from zlib import error as BadStream

import numpy as np

from vidprism.records.record import ResultsError


@dataclass(frozen=True)
class CellScores:
    """The scores of one cell; the module's docstring gives the shapes."""

    logits: np.ndarray
    labels: np.ndarray
    experts: np.ndarray | None = None
    usage_train: np.ndarray | None = None


def spread(values_RN: np.ndarray, readable: np.ndarray, n_listed: int) -> np.ndarray:
    """Place values (R, readable videos, ...) among the listed videos (R, n_listed, ...); NaN elsewhere; float32."""
    full = np.full((values_RN.shape[0], n_listed, *values_RN.shape[2:]), np.nan, dtype=np.float32)
    full[:, readable] = values_RN
    return full


def save_scores(path: Path, cells: dict[str, CellScores]) -> None:
    """Write the scores of a row's cells, by cell key."""
    arrays: dict[str, np.ndarray] = {}
    for key, cell in cells.items():
        arrays |= {key: cell.logits, f"{key}_labels": cell.labels}
        arrays |= {
            f"{key}_{name}": value for name in ("experts", "usage_train") if (value := getattr(cell, name)) is not None
        }
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # numpy types its own flag as a bool


def load_scores(path: Path, key: str) -> CellScores:
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


def hits(scores_NC: np.ndarray, labels_N: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k best classes, (N,) bool. Equal scores go to the higher class, as in
    scikit-learn.
    """
    best = np.argsort(scores_NC, axis=1, kind="stable")[:, ::-1][:, :k]
    return (best == labels_N[:, None]).any(axis=1)
