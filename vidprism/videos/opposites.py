"""Classes that turn into each other: opposites, which only differ in the direction or rhythm of their motion, and
mirror images.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from vidprism.config import Config, paths
from vidprism.datasets import DatasetError


def known_opposites(df: pd.DataFrame, root: Path) -> dict[str, int]:
    """Label -> label of the opposite class, from ``world.json`` in the dataset's folder `root` and the classes of a
    manifest; empty for data that were not generated. The keys are text, as in JSON.
    """
    path = root / "world.json"
    if not path.is_file():
        return {}
    label = dict(zip(df["class_name"].map(_plain), df["label"].astype(int), strict=True))
    known = json.loads(path.read_text(encoding="utf-8"))["opposite"].items()
    return {str(label[_plain(name)]): label[_plain(other)] for name, other in known}


def changed_by_mirror(root: Path) -> bool:
    """Whether a mirrored video of a generated dataset may belong to another class; False for other data."""
    path = root / "world.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8"))["mirror"])


def may_flip(config: Config, dataset: str) -> bool:
    """Whether mirrored videos of a prepared dataset keep their classes.

    Raises:
        DatasetError: the dataset has not been prepared.
    """
    path = paths.manifest(config, dataset) / "checks.json"
    if not path.is_file():
        raise DatasetError(f"'{path}' does not exist; run the prepare stage of {dataset} first")
    return bool(json.loads(path.read_text(encoding="utf-8"))["horizontal_flip"])


def _plain(name: str) -> str:
    """Templates of Something-Something V2 with and without brackets are the same class."""
    return name.replace("[", "").replace("]", "")
