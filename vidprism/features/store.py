"""The store of cached features, as read by rows of the frozen track: without torch, decoders or backbones.

Letters: N videos, V views (view = clip * n_crops + crop), T time steps (the frames, or fewer if the encoder sees
several frames at once), D width, C classes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidprism.config import ConfigError

SPLITS = ("train", "dev", "test")
INDEX_COLUMNS = ("split", "row", "video_id", "label", "class_name", "readable", "reason", "path")
CHEAP_BYTES = 64 * 2**20  # arrays up to this size are hashed whenever a store is opened: about 0.05 s


class FeatureStore:
    """Cached frame features of one dataset, read from disk on demand.

    `meta` holds dataset, generated, backbone (name, key, model, size, weights, weights_sha256), dim, image_size_px,
    logit_scale, class_names, class_texts (in words), split, frames, n_clips and n_crops (of the test split; train and
    dev have one view), sampling, resize, prompt_sets, frame_cache (where one was read), counts (split -> listed,
    readable), videos_sha256, fingerprint (of all that the features are made from) and values_sha256 (of the features
    themselves).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if "class_texts" not in self.meta:
            raise ConfigError(f"'{folder}' was written by an earlier version; run the features stage again")
        text = dict.fromkeys(("split", "video_id", "class_name", "reason", "path"), str)
        self._index = pd.read_csv(folder / "index.csv", dtype=text, keep_default_na=False)

    def load(self, split: str, frames: int) -> np.ndarray:
        """Features (N, V, T, D) float16 of all listed videos in manifest order, from clips of `frames` frames,
        memory-mapped; zeros for unreadable videos.

        Raises:
            ConfigError: the store has no such split or frame count.
        """
        path = self.folder / f"{split}_{frames}f.npy"
        if not path.is_file():
            raise ConfigError(
                f"'{self.folder}' has no features of split '{split}' with {frames} frames, only of "
                f"{', '.join(SPLITS)} with {', '.join(map(str, self.meta['frames']))}; add the count to "
                "protocol.frames, and to the backbone's frames, in params.yaml"
            )
        return np.load(path, mmap_mode="r")

    def index(self, split: str) -> pd.DataFrame:
        """The listed videos of a split in manifest order, with the columns `INDEX_COLUMNS`; `row` indexes
        `load`.
        """
        return self._index[self._index["split"] == split].reset_index(drop=True)

    def text(self, prompt_set: str) -> np.ndarray | None:
        """L2-normalised class texts (C, D) float32 of a prompt set, in the order of the labels; None if the backbone
        has no text tower.

        Raises:
            ConfigError: the store has no such prompt set.
        """
        if not (self.folder / "text.npy").is_file():
            return None
        sets = self.meta["prompt_sets"]
        if prompt_set not in sets:
            raise ConfigError(f"'{self.folder}' has no prompt set '{prompt_set}' (it has {', '.join(sets)})")
        return np.load(self.folder / "text.npy")[sets.index(prompt_set)]

    def check_values(self) -> None:
        """Compare the arrays with the hash that was written with them.

        Raises:
            ConfigError: they have changed, or the store was written without a hash.
        """
        written = self.meta.get("values_sha256")
        if written is None:
            raise ConfigError(f"'{self.folder}' was written without a hash of its values; run the features stage again")
        if values_sha256(self.folder) != written:
            raise ConfigError(
                f"features in '{self.folder}' differ from those that were written; delete the folder and run the "
                "features stage again"
            )


def open_store(folder: Path) -> FeatureStore:
    """Open the store that `extract` wrote into `folder`. Arrays up to `CHEAP_BYTES` are compared with their hash, if
    there is one; for larger ones, call `FeatureStore.check_values`.

    Raises:
        ConfigError: there is none, or its arrays are not those that were written.
    """
    folder = Path(folder)
    if not (folder / "meta.json").is_file():
        raise ConfigError(f"'{folder}' holds no features; run the features stage of that dataset first")
    store = FeatureStore(folder)
    if "values_sha256" in store.meta and sum(path.stat().st_size for path in folder.glob("*.npy")) <= CHEAP_BYTES:
        store.check_values()
    return store


def values_sha256(folder: Path) -> str:
    """sha256 over the names and the bytes of all arrays in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.npy")):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return "sha256:" + digest.hexdigest()
