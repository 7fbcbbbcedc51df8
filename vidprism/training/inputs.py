"""The data that a cell trains on and is scored on: listed videos, their labels and draws, and the arrays that a track
reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidprism.config import Config, ConfigError, paths
from vidprism.features import store

if TYPE_CHECKING:
    from vidprism.backbones import Backbone


@dataclass(frozen=True)
class TrainingSet:
    """The clips of one repeat: positions in the training list, how many were drawn, and the number of the draw and its
    hash (None for the whole list). An external list of K shots has no number; `shot_list` holds its file, name and
    sha256.
    """

    positions: np.ndarray
    n_listed: int
    draw: int | None
    sha256: str | None
    shot_list: dict[str, str] | None = None


class Inputs(Protocol):
    """One dataset at one clip length, on one track; `n_steps` is the number T of features in a clip. `FrozenInputs`
    reads cached features, `vidprism.finetuning.inputs.VideoInputs` frames.
    """

    dim: int
    n_classes: int
    n_steps: int
    logit_scale: float
    class_texts: list[str]
    fingerprint: str
    backbone: dict[str, Any]

    def index(self, split: str) -> pd.DataFrame:
        """The listed videos of a split in manifest order: video_id, label, readable, reason, path."""

    def labels(self, split: str) -> np.ndarray:
        """Labels (n,) of the listed videos."""

    def usable(self, split: str, positions: np.ndarray | None = None) -> np.ndarray:
        """Which of the videos at `positions` (all listed ones by default) can be read, bool (n,)."""

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Views of some videos: features (n, V, T, D) float32, or frames (n, V, T, S, S, 3) uint8."""

    def text(self, prompt_set: str) -> Tensor | None:
        """L2-normalised class texts (C, D); None if the backbone has no text tower."""

    def described(self, kinds: Mapping[str, int]) -> tuple[dict[str, tuple[tuple[str, ...], ...]], dict[str, str]]:
        """Sentences of each kind about each class, and where they come from (`vidprism.descriptions.describe`)."""

    def load_backbone(self, device: str) -> Backbone:
        """A fresh copy of the backbone with its pre-trained weights."""


class FrozenInputs:
    """Cached frame features of one dataset.

    Raises:
        ConfigError: there is no store of this backbone, or it lacks the clip length.
    """

    def __init__(self, config: Config, dataset: str, n_frames: int, backbone: str) -> None:
        self.store = store.open_store(paths.features(config, dataset, backbone))
        meta = self.store.meta
        self.backbone, self.fingerprint, self.logit_scale = (
            meta["backbone"],
            meta["fingerprint"],
            float(meta["logit_scale"]),
        )
        self.n_frames = n_frames
        self.n_steps, self.dim = self.store.load("train", n_frames).shape[-2:]
        self.class_texts = meta["class_texts"]
        self.n_classes = len(self.class_texts)
        spec = config.profile.backbones[backbone]
        self._spec = replace(spec, weights=paths.backbone(config, backbone))

    def index(self, split: str) -> pd.DataFrame:
        """See `Inputs`."""
        return self.store.index(split)

    def labels(self, split: str) -> np.ndarray:
        """See `Inputs`."""
        return self.index(split)["label"].to_numpy(np.int64)

    def usable(self, split: str, positions: np.ndarray | None = None) -> np.ndarray:
        """See `Inputs`."""
        readable = self.index(split)["readable"].to_numpy(bool)
        return readable if positions is None else readable[positions]

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """See `Inputs`: features (n, V, T, D) float32."""
        rows = self.index(split)["row"].to_numpy()[positions].astype(np.int64)
        return np.asarray(self.store.load(split, self.n_frames)[rows], dtype=np.float32)

    def text(self, prompt_set: str) -> Tensor | None:
        """See `Inputs`."""
        text_CD = self.store.text(prompt_set)
        return None if text_CD is None else torch.as_tensor(np.asarray(text_CD), dtype=torch.float32)

    def described(self, kinds: Mapping[str, int]) -> tuple[dict[str, tuple[tuple[str, ...], ...]], dict[str, str]]:
        """See `Inputs`; no method on cached features reads them."""
        raise ConfigError("params.yaml: sentences about classes are read on the tuned track only")

    def load_backbone(self, device: str) -> Backbone:
        """See `Inputs`."""
        from vidprism import backbones  # imported here: only methods that use the text tower need the backbone

        return backbones.load_backbone(self._spec, device)


def training_sets(
    config: Config, dataset: str, inputs: Inputs, shots: int | None, repeats: tuple[int, ...]
) -> list[TrainingSet]:
    """The training set of each repeat: draw i for repeat i, the external list of K shots if there is one (the same for
    all repeats), or every readable video if `shots` is None.

    Raises:
        ConfigError: the draws do not hold this many shots or this repeat, or name a video that the list
            lacks.
    """
    if shots is None:
        usable = inputs.usable("train")
        return [TrainingSet(np.flatnonzero(usable), len(usable), None, None) for _ in repeats]
    path = paths.manifest(config, dataset) / "draws.json"
    drawn = json.loads(path.read_text(encoding="utf-8"))
    position = {video_id: i for i, video_id in enumerate(inputs.index("train")["video_id"])}
    given = drawn.get("lists", {}).get(str(shots))
    if given:
        at = _positions(given["videos"], position, path, dataset)
        about = {key: given[key] for key in ("file", "name", "sha256")}
        usable = at[inputs.usable("train", at)]
        return [TrainingSet(usable, len(at), None, given["sha256"], about) for _ in repeats]
    chosen = []
    for repeat in repeats:
        hashes = drawn["sha256"].get(str(repeat), {})
        if str(shots) not in hashes:
            raise ConfigError(
                f"{path} has no draw {repeat} of {shots} shots; add them to protocol.draw_seeds and "
                "protocol.shots in params.yaml"
            )
        videos = [video for ordered in drawn["draws"][str(repeat)].values() for video in ordered[:shots]]
        at = _positions(videos, position, path, dataset)
        chosen.append(TrainingSet(at[inputs.usable("train", at)], len(at), repeat, hashes[str(shots)]))
    return chosen


def oddities(config: Config, dataset: str) -> dict[str, Any]:
    """Oddities of the lists and of this copy of the videos, from checks.json: the name of the known copy; the numbers
    of unlisted files, repeated lines, videos with two labels, videos listed for training and test, files with several
    names, paths of another class, and classes that share groups with the dev pool; and the readable videos by the way
    they are read. Zeros are left out.

    Raises:
        ConfigError: the dataset has not been prepared, or an earlier version prepared it.
    """
    path = paths.manifest(config, dataset) / "checks.json"
    if not path.is_file():
        raise ConfigError(f"'{path}' does not exist; run the prepare stage of {dataset} first")
    checks = json.loads(path.read_text(encoding="utf-8"))
    if "readers" not in checks:
        raise ConfigError(f"'{path}' is of an earlier version; run the prepare stage of {dataset} again")
    named = ("repeated_lines", "conflicting_labels", "train_test_overlap", "same_file", "path_class_differs")
    found = {"copy": checks["copy"], "unlisted_files": checks["unlisted_files"]["count"]}
    found |= {name: len(checks.get(name, ())) for name in (*named, "dev_shares_groups")}
    found |= {"readers": checks["readers"]}
    return {name: value for name, value in found.items() if value}


def _positions(videos: list[str], position: dict[str, int], path: Path, dataset: str) -> np.ndarray:
    lost = [video for video in videos if video not in position]
    if lost:
        raise ConfigError(
            f"{path} names {lost[0]}, which the training list of {dataset} lacks; run the prepare and "
            "features stages again"
        )
    return np.array(sorted(position[video] for video in videos))
