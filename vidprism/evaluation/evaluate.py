"""Accuracies from the scores written by the training stages: one results file a row. Nothing here imports torch.

Rows that the profile expects but that were not trained stay in the results as "not run".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError, nearest, paths
from vidprism.config.rows import Row, rows
from vidprism.evaluation import common_subset, metrics, plots, results
from vidprism.evaluation.groups import of_test
from vidprism.evaluation.opposites import read_opposites, right_within_pair
from vidprism.evaluation.video_check import compare_probes
from vidprism.records.record import NOT_RUN, REHEARSED, Record, cell_key
from vidprism.records.scores import CellScores, hits, load_scores
from vidprism.runtime import progress


def evaluate(config: Config, group: str, row: str = "") -> list[Record]:
    """Evaluate every expected row of a group, or only `row`; write its results and the points of its plots.

    A row that was not trained here keeps the results that are in git.

    Returns:
        One record per expected row, in table order.

    Raises:
        ConfigError: no such group, or no such row.
        ResultsError: a record or its scores are damaged, or a training diverged.
        ConfigError: the manifest of a dataset is missing or belongs to another test list.
    """
    found = rows(config, group)
    if row and row not in found:
        raise ConfigError(f"profile '{config.profile.name}' has no row '{row}' in {group}; {nearest(row, found)}")
    evaluated = [_of_row(config, expected, row) for expected in progress.track(list(found.values()), "row")]
    plots.write_plots(config, group, evaluated)
    records: list[Record] = list(evaluated)
    results.write_results(config, group, records)
    return records


def _of_row(config: Config, row: Row, only: str) -> Any:
    """The record of a row: evaluated if it was trained here and no other row is asked for, otherwise as git has it."""
    file = paths.row_results(config, row.group, row.key)
    trained_here = (paths.run(config, row.group, row.key) / "record.json").is_file()
    if file.is_file() and (only != row.key if only else not trained_here):
        return results.read_row(file)
    return evaluate_row(config, row)


def evaluate_row(config: Config, row: Row) -> dict[str, Any]:
    """The record of one row with its accuracies, or a record that says why there are none.

    Raises:
        ResultsError: the record is not valid JSON, its scores are damaged, or a training diverged.
    """
    folder = paths.run(config, row.group, row.key)
    missing = {"row": row.key, "method": row.method, "track": row.track, "status": NOT_RUN, "cells": []}
    if not (folder / "record.json").is_file():
        return {**missing, "reason": row.off or "no run of this row yet; `dvc repro` trains it"}
    record = results.read_json(folder / "record.json")
    if [(cell["dataset"], cell["shots"]) for cell in record["cells"]] != row.cells:
        return {
            **missing,
            "reason": "its run has other cells than params.yaml asks for; `dvc repro` trains it again",
        }
    if record["backbone"].get("weights") == RANDOM_WEIGHTS:
        return {**missing, "status": REHEARSED, "reason": _rehearsed(record, folder)}
    cells = [_evaluate_cell(config, cell, folder) for cell in record["cells"]]
    return {**record, "backbone": _with_findings(record["backbone"]), "cells": cells}


def _with_findings(backbone: dict[str, Any]) -> dict[str, Any]:
    """The backbone of a record; if its pre-training was probed, with the comparison of the answers."""
    return {**backbone, "probe": compare_probes(backbone["probe"])} if "probe" in backbone else backbone


def _rehearsed(record: dict[str, Any], folder: Path) -> str:
    """What a run on random weights shows: that it trained and scored. Its accuracies are not computed."""
    said = []
    for cell in record["cells"]:
        scores = load_scores(folder / "scores.npz", cell_key(cell["dataset"], cell["shots"]))
        _readable(scores, cell, folder)
        views = f"{scores.logits.shape[2]} views each"
        said.append(
            f"{cell['dataset']} {cell['updates']} updates, {cell['n_scored']} of {cell['n_listed']} videos, {views}"
        )
    return f"random weights, no accuracy meaning: {'; '.join(said)}"


def _evaluate_cell(config: Config, cell: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cell with top-1 and top-5 accuracy, per repeat and together, with fewer views, on the common subset if there is
    one, and with the use of its experts.
    """
    fusion = config.profile.analysis.fusion
    scores = load_scores(folder / "scores.npz", cell_key(cell["dataset"], cell["shots"]))
    readable = _readable(scores, cell, folder)
    labels, fused_RNC = scores.labels[readable], metrics.fuse(scores.logits[:, readable], fusion)
    repeats = [
        {**repeat, **_evaluate_repeat(fused, labels, readable)}
        for repeat, fused in zip(cell["repeats"], fused_RNC, strict=True)
    ]
    names = of_test(config, cell["dataset"], cell["n_listed"])
    groups = results.encode_groups(names)
    opposite = read_opposites(config, cell["dataset"])
    top1, top5 = (
        _rounded(results.estimate([repeat[key] for repeat in repeats], groups)) for key in ("correct", "correct5")
    )
    return {
        **cell,
        "groups": groups,
        "repeats": repeats,
        "top1": top1,
        "top5": top5,
        "fusion": fusion,
        "views": _fewer_views(scores.logits[:, readable], labels, cell, fusion),
        "subset": _on_subset(config, cell, repeats, names),
        "within_pairs": _within_pairs(fused_RNC, labels, readable, opposite, groups),
        **_expert_usage(scores, readable, fused_RNC, labels, cell["n_classes"]),
    }


def _readable(scores: CellScores, cell: dict[str, Any], folder: Path) -> np.ndarray:
    """Which listed videos have scores, (N,): as many as the record calls readable, and all of them finite."""
    readable = ~np.isnan(scores.logits).any(axis=(0, 2, 3))
    if readable.sum() != cell["n_scored"] or not np.isfinite(scores.logits[:, readable]).all():
        raise results.ResultsError(
            f"{folder}: scores of readable videos of {cell['dataset']} are not finite ({readable.sum()} videos "
            f"have scores, {cell['n_scored']} were read): a training diverged. Lower the learning rate "
            "(search.lr in params.yaml) and run `dvc repro`"
        )
    return readable


def _evaluate_repeat(fused_NC: np.ndarray, labels_N: np.ndarray, readable: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for k, name in ((1, "correct"), (5, "correct5")):
        found[f"top{k}"] = round(metrics.top_k(fused_NC, labels_N, k), 4)
        found[name] = metrics.answer_text(hits(fused_NC, labels_N, k), readable)
    return found


def _fewer_views(
    logits_RNVC: np.ndarray, labels_N: np.ndarray, cell: dict[str, Any], fusion: str
) -> list[dict[str, Any]]:
    """Top-1 in percent, the mean over repeats, for 1 to all clips: accuracy against views from one set of scores."""
    curve = []
    for n_clips, n_crops, chosen in metrics.fewer_views(cell["n_clips"], cell["n_crops"]):
        fused_RNC = metrics.fuse(logits_RNVC[:, :, chosen], fusion)
        top1 = 100 * np.mean([hits(fused, labels_N, 1).mean() for fused in fused_RNC])
        curve.append({"n_clips": n_clips, "n_crops": n_crops, "top1": round(float(top1), 4)})
    return curve


def _on_subset(
    config: Config, cell: dict[str, Any], repeats: list[dict[str, Any]], names: list[str]
) -> dict[str, Any] | None:
    """Top-1 accuracy on the test videos that several copies of the dataset share; None without such a list."""
    chosen = common_subset.read_subset(config, cell["dataset"])
    if chosen is None:
        return None
    texts = [common_subset.answers_in_subset(repeat["correct"], chosen, cell["dataset"]) for repeat in repeats]
    n_scored = len(texts[0]) - texts[0].count("-")
    groups = results.encode_groups([name for name, named in zip(names, chosen.named, strict=True) if named])
    top1 = _rounded(results.estimate(texts, groups)) if n_scored else None
    about = {"file": chosen.file, "sha256": chosen.sha256}
    return {**about, "n_listed": len(texts[0]), "n_scored": n_scored, "top1": top1}


def _within_pairs(
    fused_RNC: np.ndarray, labels_N: np.ndarray, readable: np.ndarray, opposite: dict[int, int], groups: str | None
) -> dict[str, Any] | None:
    """Accuracy in percent among the two classes of a pair of opposites (`vidprism.evaluation.opposites`), over the
    videos whose class has one; None without such videos.
    """
    paired_N = np.isin(labels_N, list(opposite))
    if not paired_N.any():
        return None
    asked = readable.copy()
    asked[readable] = paired_N
    right_RN = (right_within_pair(fused_NC[paired_N], labels_N[paired_N], opposite) for fused_NC in fused_RNC)
    return _rounded(results.estimate([metrics.answer_text(right_N, asked) for right_N in right_RN], groups))


def _expert_usage(
    scores: CellScores, readable: np.ndarray, fused_RNC: np.ndarray, labels_N: np.ndarray, n_classes: int
) -> dict[str, Any]:
    """Mean expert weights over test videos, and per class over training clips and over test videos answered correctly
    and wrongly (Figure 4).
    """
    if scores.experts is None or scores.usage_train is None:
        return {"expert_usage": None}
    experts_RNE = scores.experts[:, readable]
    correct_RN = np.stack([hits(fused_NC, labels_N, 1) for fused_NC in fused_RNC])
    by_class = metrics.expert_usage(experts_RNE, correct_RN, labels_N, n_classes)
    by_class["train"] = [metrics.mean_weights(scores.usage_train[:, c]) for c in range(n_classes)]
    return {
        "expert_usage": metrics.mean_weights(experts_RNE.reshape(-1, experts_RNE.shape[-1])),
        "expert_usage_by_class": by_class,
    }


def _rounded(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate with four decimals. Smaller differences are noise of the arithmetic and would show in every diff."""
    return {key: None if value is None else np.round(value, 4).tolist() for key, value in estimate.items()}
