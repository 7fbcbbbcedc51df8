"""Which classes are opposites: read from the generated world, and unknown for other data."""

import json
from pathlib import Path

import pandas as pd

from vidprism.videos.opposites import known_opposites

DF = pd.DataFrame({"class_name": ["Moving [a] up", "Moving [a] down", "Looking at [a]"], "label": [2, 0, 1]})


def test_labels_of_opposites_with_and_without_brackets(tmp_path: Path) -> None:
    pairs = {"Moving a up": "Moving [a] down", "Moving [a] down": "Moving a up"}
    (tmp_path / "world.json").write_text(json.dumps({"opposite": pairs}), encoding="utf-8")
    assert known_opposites(DF, tmp_path) == {"2": 0, "0": 2}


def test_data_that_were_not_generated_have_none(tmp_path: Path) -> None:
    assert known_opposites(DF, tmp_path) == {}
