"""Cached features without videos: a store and draws in the real format, trained on in a second."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidprism import methods
from vidprism.config import Config, load_config, paths

DIM, CLASSES, TRAIN, DEV, TEST = 16, 6, 8, 3, 4  # the last three per class
BROKEN = 1  # the test video that cannot be read
CHECKS = {
    "copy": None,
    "readers": {"packets": 7},
    "unlisted_files": {"count": 3, "first": ["a.avi"]},
    "repeated_lines": ["b"],
    "conflicting_labels": [],
    "path_class_differs": [],
}
ROOT = Path(__file__).resolve().parents[1]


def small_config(root: Path, **train: object) -> Config:
    """The smoke profile below `root`, with ucf101, 8 frames and two views; `train` changes its recipe."""
    config = load_config("smoke", ROOT)
    recipe = {"updates": 20, "batch_size": 8, "threads": 1, **train}
    profile = replace(
        config.profile,
        train=replace(config.profile.train, **recipe),
        protocol=replace(config.profile.protocol, shots=(2, 4), draw_seeds=(0, 1, 2), frames=(8,), n_clips=2),
        search=replace(config.profile.search, lr=(0.001, 0.01), shots=4, frames=8, updates=10),
    )
    return replace(config, profile=profile, root_dir=root)


def write_store(config: Config, dataset: str = "ucf101", seed: int = 0) -> Path:
    """Features whose mean and order both tell the class, an index with one unreadable test video, texts and
    draws.
    """
    rng = np.random.default_rng(seed)
    folder = paths.features(config, dataset, "mini_clip")
    folder.mkdir(parents=True)
    centre = rng.normal(size=(CLASSES, 8, DIM))
    rows = []
    for split, n, views in (
        ("train", TRAIN, 1),
        ("dev", DEV, 1),
        ("test", TEST, config.profile.protocol.n_clips),
    ):
        labels = np.repeat(np.arange(CLASSES), n)
        features = centre[labels][:, None] + 0.5 * rng.normal(size=(len(labels), views, 8, DIM))
        if split == "test":
            features[BROKEN] = 0
        np.save(folder / f"{split}_8f.npy", features.astype(np.float16))
        for i, label in enumerate(labels):
            broken = split == "test" and i == BROKEN
            name = f"{split}/{label}_{i:03d}"
            rows.append([split, i, name, label, f"class {label}", not broken, "empty file" * broken, f"{name}.avi"])
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "row", "video_id", "label", "class_name", "readable", "reason", "path"])
        writer.writerows(rows)
    sets = config.profile.protocol.prompt_sets
    text = np.stack([centre.mean(axis=1) + 0.3 * k * rng.normal(size=(CLASSES, DIM)) for k in range(len(sets))])
    np.save(folder / "text.npy", (text / np.linalg.norm(text, axis=-1, keepdims=True)).astype(np.float32))
    backbone = {"name": "mini_clip", "key": "clip", "weights_sha256": "0" * 64}
    meta = {
        "backbone": backbone,
        "fingerprint": "sha256:store",
        "logit_scale": 10.0,
        "prompt_sets": sets,
        "frames": [8],
        "class_names": [f"class_{c}" for c in range(CLASSES)],
        "class_texts": [f"class {c}" for c in range(CLASSES)],
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    _write_draws(config, dataset, rows)
    _write_manifest(config, dataset, rows)
    return folder


def _write_manifest(config: Config, dataset: str, rows: list[list]) -> None:
    """The columns that evaluation and search read; the videos of a class and split are two groups."""
    with (paths.manifest(config, dataset) / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "path", "split", "label", "group", "readable"])
        for split, i, name, label, _, readable, _, path in rows:
            writer.writerow([name, path, split, label, f"{split}/{label}/g{i % 2}", readable])


def _write_draws(config: Config, dataset: str, rows: list[list]) -> None:
    train = [row for row in rows if row[0] == "train"]
    draws = {}
    for seed in config.profile.protocol.draw_seeds:
        order = np.random.default_rng(seed).permutation(TRAIN)
        draws[str(seed)] = {
            f"class {c}": [[r[2] for r in train if r[3] == c][i] for i in order] for c in range(CLASSES)
        }
    hashes = {seed: {str(k): f"{seed}-{k}" for k in config.profile.protocol.shots} for seed in draws}
    folder = paths.manifest(config, dataset)
    folder.mkdir(parents=True)
    (folder / "draws.json").write_text(json.dumps({"shots": [2, 4], "draws": draws, "sha256": hashes}))
    (folder / "checks.json").write_text(json.dumps(CHECKS))
    (folder / "opposites.json").write_text("{}")


def write_choice(config: Config, method: str, chosen: float | str) -> None:
    """A search record with one trial."""
    path = paths.search(config, method, "mini_clip")
    path.parent.mkdir(parents=True, exist_ok=True)
    space = methods.load_method(method).SEARCHED
    found = {"chosen": chosen, "trials": {str(chosen): 50.0}, "error": {str(chosen): 2.0}, "space": space}
    found |= {"split": "dev", "draws": 3, "not_separable": [], "at_edge": False}
    path.write_text(json.dumps(found))
