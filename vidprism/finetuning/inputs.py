"""The inputs of the tuned track: decoded clips of one dataset, with each video opened when it is first needed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from vidprism import backbones, datasets, descriptions
from vidprism.config import Config, ConfigError, paths
from vidprism.features import encode
from vidprism.runtime import processes, watchdog
from vidprism.runtime.errors import TrainingError
from vidprism.videos import frame_cache, manifest
from vidprism.videos.augment import augmented
from vidprism.videos.clips import Unreadable, frame_indices, load_views
from vidprism.videos.decoding import opened, read_frames
from vidprism.videos.opposites import may_flip

CACHE_BYTES = 2 * 2**30  # size limit of decoded clips kept in memory; beyond it videos are decoded again when needed


class Reading(NamedTuple):
    """How clips are read: the number of processes, the seconds allowed per clip, and the share of training videos that
    may fail.
    """

    workers: int = 0
    limit_sec: float = 30.0
    bad_share: float = 0.0


class VideoInputs:
    """The videos of one dataset at one clip length, decoded when first needed (see `vidprism.training.inputs.Inputs`).

    Raises:
        DatasetError: the dataset has not been prepared.
    """

    def __init__(self, config: Config, dataset: str, n_frames: int, backbone: str) -> None:
        self.protocol, self.n_frames = config.profile.protocol, n_frames
        train = config.profile.train
        self.threads, self.views_per_batch, self.save_every = train.threads, train.views_per_batch, train.save_every
        self.reading = Reading(train.workers, config.profile.check.seconds_per_video, train.bad_share)
        spec = config.profile.backbones[backbone]
        self.spec = dataclasses.replace(spec, weights=paths.backbone(config, backbone))
        self.videos = paths.dataset_root(config, dataset) / "videos"
        listed = manifest.load_manifest(config, dataset)
        inputs = listed.to_csv(index=False) + self.protocol.frame_cache
        self.fingerprint = "sha256:" + hashlib.sha256(inputs.encode()).hexdigest()
        self.lists = {split: part.reset_index(drop=True) for split, part in listed.groupby("split")}
        module, root = datasets.load_dataset(dataset), paths.dataset_root(config, dataset)
        class_names = module.class_names(root)
        self.class_texts = [module.class_text(name) for name in class_names]
        self._describe = partial(descriptions.describe, config, dataset, class_names)
        self.n_classes = len(self.class_texts)
        model = self.load_backbone("cuda" if torch.cuda.is_available() else "cpu")
        self.dim, self.image_size, self.logit_scale = model.dim, model.image_size, model.logit_scale
        self.n_steps = n_frames // model.tubelet
        asked = (model, spec.model, self.protocol.prompt_sets, self.class_texts)
        self.texts = encode.kept_text_features(*asked, paths.texts(config))
        self.backbone = {
            "name": backbone,
            **dataclasses.asdict(spec),
            "weights_sha256": encode.weights_sha256(model),
        }
        self.may_flip = may_flip(config, dataset)
        self._source = frame_cache.source(config, dataset, self.image_size)
        self._clips: dict[tuple[str, int], np.ndarray] = {}
        self._cached_bytes = 0
        self._reasons: dict[tuple[str, int], str] = {}  # reason of every video that was tried: "" if it decoded

    def __getstate__(self) -> dict[str, object]:
        # sent to a worker process without the decoded clips
        return {**self.__dict__, "_clips": {}, "_cached_bytes": 0}

    def load_backbone(self, device: str) -> backbones.Backbone:
        """A fresh copy of the backbone with its pre-trained weights."""
        return backbones.load_backbone(self.spec, device)

    def index(self, split: str) -> pd.DataFrame:
        """The listed videos; those that the manifest or this run could not read have a reason."""
        listed = self.lists[split].copy()
        for (where, position), reason in self._reasons.items():
            if where == split and reason:
                listed.loc[position, ["readable", "reason"]] = False, reason
        return listed

    def labels(self, split: str) -> np.ndarray:
        """Labels (n,) of the listed videos."""
        return self.lists[split]["label"].to_numpy(np.int64)

    def usable(self, split: str, positions: np.ndarray | None = None) -> np.ndarray:
        """Which of the videos at `positions` (all by default) can be used, bool (n,).

        For training, these are the videos that the manifest calls readable (its check has decoded the first, middle and
        last frame of each): decoding all of Kinetics before the first update would take hours. Videos that are scored
        are tried once, with all frames that their views need; several processes share that work.
        """
        positions = np.arange(len(self.lists[split])) if positions is None else positions
        readable = self.lists[split]["readable"].to_numpy(bool)[positions]
        if split == "train":
            return readable
        self._try(split, positions[readable].tolist())
        return np.array([ok and not self._reasons[split, i] for ok, i in zip(readable, positions, strict=True)], bool)

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Views of some usable videos, uint8 (n, V, T, S, S, 3).

        Raises:
            TrainingError: one of them cannot be decoded; no other video takes its place.
        """
        clips = []
        for position in positions.tolist():
            with self._must_decode(split, position):
                clips.append(self._clip(split, position))
        return np.stack(clips)

    def draw(self, position: int, sampling: str, rng: np.random.Generator, augment: str = "none") -> np.ndarray:
        """A training clip sampled or changed at random, uint8 (T, S, S, 3), always decoded.

        Raises:
            TrainingError: the video cannot be decoded.
        """
        if sampling == "protocol":
            sampling = self.protocol.sampling
        with self._must_decode("train", position):
            if augment == "none":
                return self._decode("train", position, sampling, rng)[0]
            with opened(self._source(self.name("train", position))) as video:
                frames = read_frames(video, frame_indices(len(video), self.n_frames, sampling, rng=rng))
            return augmented(frames, self.image_size, augment, rng, self.may_flip, self.protocol.resize)

    def described(self, kinds: Mapping[str, int]) -> tuple[descriptions.Described, dict[str, str]]:
        """See `vidprism.descriptions.describe`."""
        return self._describe(kinds)

    def text(self, prompt_set: str) -> Tensor | None:
        """L2-normalised class texts (C, D); None if the backbone has no text tower."""
        if self.texts is None:
            return None
        if prompt_set not in self.protocol.prompt_sets:
            raise ConfigError(f"protocol.prompt_sets in params.yaml has no '{prompt_set}'; run the search stages again")
        return torch.from_numpy(self.texts[self.protocol.prompt_sets.index(prompt_set)])

    def _try(self, split: str, positions: list[int]) -> None:
        """Decode the videos that were not tried yet, and keep the reasons of those that fail."""
        untried = [position for position in positions if (split, position) not in self._reasons]
        mine = untried[processes.rank() :: processes.world_size()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            reasons = list(pool.map(lambda position: self._reason(split, position), mine))
        for found in processes.gather(dict(zip(mine, reasons, strict=True))):
            self._reasons |= {(split, position): reason for position, reason in found.items()}

    def _reason(self, split: str, position: int) -> str:
        watchdog.alive(f"reading {self.name(split, position)}")
        try:
            self._clip(split, position)
        except Unreadable as error:
            return error.reason
        return ""

    @contextmanager
    def _must_decode(self, split: str, position: int) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            path = self.videos / self.name(split, position)
            raise TrainingError(
                f"{path}: {error.reason}, although the check of the videos called it readable; put an intact file in "
                "its place, or delete it so that it is listed as unreadable, and run `dvc repro`"
            ) from error

    def _clip(self, split: str, position: int) -> np.ndarray:
        """The views of one video, uint8 (V, T, S, S, 3), from memory if they are there.

        Raises:
            Unreadable: the video cannot be decoded.
        """
        key = (split, position)
        if key in self._clips:
            return self._clips[key]
        clip = self._decode(split, position, self.protocol.sampling)
        if get_worker_info() is None and self._cached_bytes + clip.nbytes <= CACHE_BYTES:
            self._clips[key] = clip
            self._cached_bytes += clip.nbytes
        return clip

    def _decode(self, split: str, position: int, sampling: str, rng: np.random.Generator | None = None) -> np.ndarray:
        n_clips, n_crops = encode.views(self.protocol, split)
        size, choices = self.image_size, {"sampling": sampling, "resize": self.protocol.resize, "rng": rng}
        source = self._source(self.name(split, position))
        return load_views(source, self.n_frames, n_clips, n_crops, size, **choices)

    def name(self, split: str, position: int) -> str:
        """Path of a listed video below the folder of videos."""
        return self.lists[split].loc[position, "path"]
