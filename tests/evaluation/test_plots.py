"""The points that `dvc plots` draws."""

import csv
import dataclasses
from pathlib import Path

from vidprism.config import load_config
from vidprism.evaluation import plots

ROOT = Path(__file__).resolve().parents[2]
VIEWS = [{"n_clips": 1, "n_crops": 3, "top1": 38.0}, {"n_clips": 2, "n_crops": 3, "top1": 40.0}]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_point_a_cell_and_one_a_logged_update(tmp_path: Path) -> None:
    config = dataclasses.replace(load_config("smoke", ROOT), root_dir=tmp_path)
    trained = {
        "dataset": "ucf101",
        "shots": 2,
        "top1": {"mean": 40.0, "ci95": [35.0, 45.0]},
        "views": VIEWS,
        "curve": {"step": [10, 20], "loss": [2.0, 1.5]},
    }
    untrained = {
        "dataset": "ucf101",
        "shots": None,
        "top1": {"mean": 30.0, "ci95": None},
        "views": VIEWS[:1],
        "curve": None,
    }
    records = [
        {"row": "a", "cells": [trained]},
        {"row": "b", "cells": [untrained]},
        {"row": "c", "cells": []},
    ]
    plots.write_plots(config, "few_shot", records)
    folder = tmp_path / "reports/plots/smoke/few_shot"
    accuracy = read(folder / "accuracy.csv")
    assert [(p["row"], p["shots"], float(p["top1"])) for p in accuracy] == [("a", "2", 40.0), ("b", "all", 30.0)]
    assert [(float(p["low"]), float(p["high"])) for p in accuracy] == [(35.0, 45.0), (30.0, 30.0)]
    assert [(p["row"], float(p["loss"])) for p in read(folder / "loss/part_01.csv")] == [("a", 2.0), ("a", 1.5)]
    views = [(p["row"], p["views"], p["n_clips"], float(p["top1"])) for p in read(folder / "views/part_01.csv")]
    assert views == [("a", "3", "1", 38.0), ("a", "6", "2", 40.0), ("b", "3", "1", 38.0)]


def test_no_picture_has_more_than_twelve_rows(tmp_path: Path) -> None:
    config = dataclasses.replace(load_config("smoke", ROOT), root_dir=tmp_path)
    cell = {"dataset": "ucf101", "shots": 2, "top1": {"mean": 40.0, "ci95": None}, "views": VIEWS, "curve": None}
    plots.write_plots(config, "ablations", [{"row": f"r{i}", "cells": [cell]} for i in range(30)])
    folder = tmp_path / "reports/plots/smoke/ablations/views"
    found = {path.stem: {point["row"] for point in read(path)} for path in folder.iterdir()}
    assert {name: len(rows) for name, rows in found.items()} == {"part_01": 12, "part_02": 12, "part_03": 6}
    plots.write_plots(config, "ablations", [{"row": "r", "cells": [cell]}])
    assert [path.name for path in folder.iterdir()] == ["part_01.csv"], "files of an earlier run are gone"
    assert read(folder.parent / "loss/part_01.csv") == [], "DVC needs the folder"
