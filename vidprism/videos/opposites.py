"""Which classes of a generated dataset are opposites: they only differ in the direction or rhythm of their motion."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd


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


def _plain(name: str) -> str:
    """Templates of Something-Something V2 with and without brackets are the same class."""
    return name.replace("[", "").replace("]", "")
