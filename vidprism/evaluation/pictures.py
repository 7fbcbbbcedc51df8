"""Pictures of the generated world for the pages: strips of frames of a few test videos. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vidprism.config import Config, ConfigError, paths
from vidprism.videos.decoding import opened, read_frames
from vidprism.videos.manifest import load_manifest

N_FRAMES = 8  # frames of a strip, evenly spaced from the first to the last of its video
WIDTH, HEIGHT = 64, 48  # pixels of a frame
QUALITY = 50  # of the WebP encoder


def write_pictures(config: Config) -> list[dict]:
    """Write one strip for each of two classes of every dataset to reports/pictures/<profile>, and their list to
    reports/results/<profile>/pictures.json.

    Returns:
        The list: file, sha256 of its bytes, dataset, class and video_id of each strip.

    Raises:
        DatasetError: a dataset has not been prepared.
        FileNotFoundError: a dataset was not generated (it has no world.json).
        ConfigError: no test video of a class can be read.
    """
    folder = paths.pictures(config)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = [
        _write(config, dataset, name, folder / f"{dataset}-{i}.webp")
        for dataset in config.profile.datasets
        for i, name in enumerate(shown_classes(config, dataset), 1)
    ]
    target = paths.results(config, "pictures")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def shown_classes(config: Config, dataset: str) -> list[str]:
    """Two classes of a generated dataset: the first two opposites, otherwise the first and the middle one (one class if
    there is only one). Classes are in the order of their names.
    """
    world = json.loads((paths.dataset_root(config, dataset) / "world.json").read_text(encoding="utf-8"))
    pairs = sorted(sorted(map(_plain, pair)) for pair in world["opposite"].items())
    if pairs:
        return pairs[0]
    names = sorted(set(load_manifest(config, dataset)["class_name"]))
    return list(dict.fromkeys([names[0], names[len(names) // 2]]))


def strip(frames_THWC: np.ndarray) -> bytes:
    """Frames (T, H, W, 3) uint8, each scaled to WIDTH x HEIGHT, side by side as a WebP file."""
    picture = Image.new("RGB", (WIDTH * len(frames_THWC), HEIGHT))
    for i, frame in enumerate(frames_THWC):
        picture.paste(Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BOX), (i * WIDTH, 0))
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=QUALITY, method=6)
    return content.getvalue()


def _write(config: Config, dataset: str, name: str, target: Path) -> dict:
    video = _video(load_manifest(config, dataset), dataset, name)
    with opened(paths.dataset_root(config, dataset) / "videos" / video["path"]) as frames:
        content = strip(read_frames(frames, np.linspace(0, len(frames) - 1, N_FRAMES).round().astype(int)))
    target.write_bytes(content)
    about = {"dataset": dataset, "class": name, "video_id": video["video_id"]}
    return {"file": target.name, "sha256": hashlib.sha256(content).hexdigest(), **about}


def _video(manifest: pd.DataFrame, dataset: str, name: str) -> pd.Series:
    """The first readable test video of a class."""
    own = manifest[(manifest["class_name"].map(_plain) == name) & (manifest["split"] == "test") & manifest["readable"]]
    if own.empty:
        raise ConfigError(f"{dataset}: no test video of the class '{name}' can be read, so there is no picture of it")
    return own.iloc[0]


def _plain(name: str) -> str:
    """SSv2 templates with and without brackets are the same class."""
    return name.replace("[", "").replace("]", "")
