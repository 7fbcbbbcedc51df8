"""The data path before training: an epoch from the feature cache compared with decoding and encoding it, and a list of
20,000 rows.

The cache is that of the chosen profile (mini-UCF, 32 frames). Decoding and encoding is measured on some of its videos
with the same backbone and one thread, and scaled to the epoch.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vidprism import backbones
from vidprism.config import Config, ConfigError, load_config, paths
from vidprism.datasets import ucf101
from vidprism.features.store import FeatureStore, open_store
from vidprism.videos import clips, draws

DATASET, FRAMES, N_DECODED = "ucf101", 32, 24
CLASSES, GROUPS, CUTS = 100, 25, 8


def run() -> dict[str, str]:
    """Seconds of both, and their ratio."""
    return {**_list_of_20000(), **_epoch(load_config())}


def _epoch(config: Config) -> dict[str, str]:
    try:
        store = open_store(paths.features(config, DATASET, config.profile.few_shot.backbone))
    except (ConfigError, FileNotFoundError):
        return {"not measured": "no features of this profile yet; `make reproduce` makes them"}
    order = np.random.default_rng(0).permutation(len(store.index("train")))
    start = time.perf_counter()
    array = store.load("train", FRAMES)
    seen = sum(np.asarray(array[batch], dtype=np.float32).size for batch in np.array_split(order, len(order) // 16))
    cached_sec = time.perf_counter() - start
    decoded_sec = _decode_and_encode(config, store, order[:N_DECODED]) * len(order) / N_DECODED
    return {
        f"an epoch of {len(order)} clips ({seen} numbers) from the cache": f"{cached_sec:.3f} s",
        "decoded and encoded": f"{decoded_sec:.1f} s, {decoded_sec / cached_sec:.0f} x as long",
    }


def _decode_and_encode(config: Config, store: FeatureStore, rows: np.ndarray) -> float:
    torch.set_num_threads(1)
    name = store.meta["backbone"]["name"]
    backbone = backbones.load_backbone(config.profile.backbones[name])
    paths_of = store.index("train")["path"].to_numpy()[rows]
    root = paths.dataset_root(config, DATASET) / "videos"
    start = time.perf_counter()
    for path in paths_of:
        frames = clips.load_views(root / path, FRAMES, 1, 1, backbone.image_size)[0]
        with torch.inference_mode():
            backbone.encode_clips(torch.from_numpy(frames)[None])
    return time.perf_counter() - start


def _list_of_20000() -> dict[str, str]:
    """Read the lists, hold out a dev pool and draw the shots: everything in `prepare` that does not open a video."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_lists(root)
        start = time.perf_counter()
        listed = ucf101.list_videos(root, 1)
        dev = draws.hold_out([v for v in listed if v.split == "train"], 16, 0, grouped=True)
        df = pd.DataFrame(
            [{**vars(v), "split": "dev" if v.video_id in dev else v.split, "readable": True} for v in listed]
        )
        draws.nested(df, (2, 4, 8, 16), range(5))
        return {f"a list of {len(listed)} rows": f"{time.perf_counter() - start:.1f} s"}


def _write_lists(root: Path) -> None:
    (root / "videos").mkdir()
    lists = root / "annotations" / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    names = [f"Class{c:03d}" for c in range(CLASSES)]
    (lists / "classInd.txt").write_text("".join(f"{c + 1} {name}\n" for c, name in enumerate(names)))
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for c, name in enumerate(names):
        for g in range(GROUPS):
            for cut in range(CUTS):
                path = f"{name}/v_{name}_g{g + 1:02d}_c{cut + 1:02d}.avi"
                parts["test" if g < 7 else "train"].append(path if g < 7 else f"{path} {c + 1}")
    for part, lines in parts.items():
        (lists / f"{part}list01.txt").write_text("\n".join(lines) + "\n")
