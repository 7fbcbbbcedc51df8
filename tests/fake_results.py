"""Records for every row of a profile without any run: answers drawn from a seed, with a chosen accuracy per
row and cell.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vidprism.complexity import published, time_steps
from vidprism.config import Config, load_config, paths
from vidprism.config.rows import GROUPS, Row, rows
from vidprism.evaluation import results
from vidprism.model import readings
from vidprism.records.record import Cell, Record

REPO = Path(__file__).resolve().parents[1]
N_VIDEOS = 120
GROUPED = {"ucf101", "hmdb51"}
PAIRED = ("hmdb51", "ssv2")  # datasets with pairs of opposites
GROUP_SIZE = 3  # test videos of a group stand together
BROKEN = 7  # position of the one unreadable test video of every dataset


def fake_config(root: Path, profile: str = "mini") -> Config:
    """The repository's profile, with everything read from and written to `root`."""
    return dataclasses.replace(load_config(profile, REPO), root_dir=root)


def write_all(config: Config, accuracy: dict[str, float] | None = None) -> None:
    """Results of all groups, and the searches; `accuracy` sets the chance of a right answer for some row
    keys (default 0.6).
    """
    for group in GROUPS:
        results.write_results(
            config,
            group,
            [fake_record(config, row, (accuracy or {}).get(row.key, 0.6)) for row in rows(config, group).values()],
        )
    for method, backbone, track in searched(config):
        path = paths.search(config, method, backbone, track)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"method": method, **fake_search(method), "track": track}), encoding="utf-8")


def searched(config: Config) -> list[tuple[str, str, str]]:
    """Method, backbone and track of every search that the profile's stages run."""
    p = config.profile
    found = [(m, p.few_shot.backbone, p.protocol.track) for group in p.search.methods.values() for m in group]
    found += [(row.method, row.backbone, p.protocol.track) for row in p.few_shot.single]
    found += [(m, b, p.protocol.track) for b in p.few_shot.video.run for m in p.few_shot.video.methods]
    return found + [(m, p.few_shot.backbone, "tuned") for m in (*p.few_shot.tuned_controls, *p.few_shot.tuned_vidprism)]


def is_fitted(method: str) -> bool:
    """Whether a method is a logistic regression, which makes no updates."""
    return method.startswith("regression_")


def fake_search(method: str = "mean_pool") -> dict[str, Any]:
    """A search as the suite writes it."""
    scores = {"chosen": 0.001, "trials": {"0.0003": 61.2, "0.001": 63.0}, "error": {"0.0003": 2.1, "0.001": 2.3}}
    facts = {"draws": 3, "not_separable": [0.0003], "widened": [0.0003], "at_edge": False, "groups": {"ucf101": 40}}
    return {"space": "c" if is_fitted(method) else "lr", "split": "dev", "track": "frozen", **scores, **facts}


def fake_record(config: Config, row: Row, accuracy: float = 0.6) -> Record:
    """One row's record with fake answers that do not depend on anything but the row and the accuracy."""
    spec = config.profile.backbones[row.backbone]
    return {
        "schema": 1,
        "profile": config.profile.name,
        "group": row.group,
        "row": row.key,
        "method": row.method,
        "label": f"Label of {row.method}",
        "reading": row.options.get("reading"),
        "track": row.track,
        "generated": config.profile.generated,
        "backbone": {
            "key": spec.key,
            "name": row.backbone,
            "model": spec.model,
            "size": spec.size,
            "weights_sha256": "ab" * 32,
        },
        "config": {
            "options": fake_options(config, row),
            "train": {"updates": 0, "batch_size": row.batch_size, "lr": 0.0, "inverse_penalty": 0.001}
            if is_fitted(row.method)
            else {"updates": row.updates, "batch_size": row.batch_size, "lr": 0.001},
        },
        "search": fake_search(row.method),
        "code": {"version": "0123456789ab", "base_commit": "abcdef123456", "dirty": False},
        "environment": {
            "python": "3.11.7",
            "torch": "2.14.1",
            "device": "cpu",
            "threads": 2,
            "world_size_asked": 1,
            "world_size_obtained": 1,
        },
        "status": "measured",
        "cells": [fake_cell(config, row, dataset, shots, accuracy) for dataset, shots in row.cells],
    }


def fake_options(config: Config, row: Row) -> dict[str, Any]:
    """Every option with its value, as a method resolves them, without torch."""
    if row.method == "temporal_transformer":
        return {"ffn_ratio": 4, **row.options}
    if not row.method.startswith("vidprism"):
        return {**published.OPTIONS.get(row.method, {}), **row.options}
    switches = dict(row.options)
    reading = switches.pop("reading", "released" if row.method.endswith("released") else "paper")
    spec = config.profile.backbones[row.backbone]
    steps = time_steps(spec.key, spec.model, row.frames)
    rates = switches.pop("rates", [rate for rate in (2, 4, 8, 16) if steps % rate == 0])
    return {"reading": reading, "rates": rates, **readings.resolve_switches(reading, switches)}


def fake_cell(config: Config, row: Row, dataset: str, shots: int | None, accuracy: float) -> Cell:
    """One cell: videos differ in difficulty (the same for all rows), repeats differ a little."""
    p, updates = config.profile.protocol, 0 if is_fitted(row.method) else row.updates
    difficulty = np.random.default_rng(zlib.crc32(dataset.encode())).normal(0, 0.2, N_VIDEOS)
    rng = np.random.default_rng(zlib.crc32(f"{row.group} {row.key} {dataset} {shots}".encode()))
    right = [rng.random(N_VIDEOS) < accuracy + difficulty + rng.normal(0, 0.01) for _ in row.repeats]
    right5 = [hits | (rng.random(N_VIDEOS) < 0.7) for hits in right]
    texts, texts5 = [_text(hits) for hits in right], [_text(hits) for hits in right5]
    scored = N_VIDEOS - 1
    names = [f"g{i // GROUP_SIZE}" if dataset in GROUPED else "" for i in range(N_VIDEOS)]
    groups = results.encode_groups(names)
    repeats = [
        {
            "seed": i,
            "draw": None if shots is None else i,
            "top1": 100 * a.count("1") / scored,
            "top5": 100 * b.count("1") / scored,
            "correct": a,
            "correct5": b,
            "loss_first": 2.3 if updates else None,
            "loss_last": 0.4 if updates else None,
            "loss_flat": True if updates else None,
            "clips_seen": 160,
            "draw_sha256": None if shots is None else f"{i}" * 64,
        }
        for i, a, b in zip(row.repeats, texts, texts5, strict=False)
    ]
    return {
        "dataset": dataset,
        "shots": shots,
        "frames": row.frames,
        "split": p.split,
        "n_clips": p.n_clips,
        "n_crops": p.n_crops,
        "fusion": config.profile.analysis.fusion,
        "n_listed": N_VIDEOS,
        "n_scored": scored,
        "groups": groups,
        "unreadable": [{"path": "c/<b>&'bad\".avi", "reason": "truncated <file>"}],
        "n_classes": 10,
        "data_fingerprint": "sha256:" + "cd" * 32,
        "updates": updates,
        "batch_size": row.batch_size if updates else 0,
        "parameters": 1234,
        "repeats": repeats,
        "top1": results.estimate(texts, groups),
        "top5": results.estimate(texts5, groups),
        "within_pairs": results.estimate(texts, groups) if dataset in PAIRED else None,
    }


def _text(hits: np.ndarray) -> str:
    return "".join("-" if i == BROKEN else "1" if hit else "0" for i, hit in enumerate(hits))
