"""The tuned track's inputs: decoded clips of one dataset, each video opened when it is first needed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidprism import backbones, datasets, encoding, frame_cache, manifest, paths, video
from vidprism.config import Config, ConfigError

CACHE_BYTES = 2 * 2**30  # decoded clips kept in memory; beyond it videos are decoded again when they are needed


class VideoInputs:
    """The videos of one dataset at one clip length, decoded when first needed (see `vidprism.training.inputs.Inputs`).

    Raises:
        DatasetError: the dataset has not been prepared.
    """

    def __init__(self, config: Config, dataset: str, n_frames: int, backbone: str) -> None:
        self.protocol, self.n_frames = config.profile.protocol, n_frames
        self.threads, self.views_per_batch = config.profile.train.threads, config.profile.train.views_per_batch
        spec = config.profile.backbones[backbone]
        self.spec = dataclasses.replace(spec, weights=paths.backbone(config, backbone))
        self.videos = paths.dataset_root(config, dataset) / "videos"
        listed = manifest.load(config, dataset)
        inputs = listed.to_csv(index=False) + self.protocol.frame_cache
        self.fingerprint = "sha256:" + hashlib.sha256(inputs.encode()).hexdigest()
        self.lists = {split: part.reset_index(drop=True) for split, part in listed.groupby("split")}
        module, root = datasets.load(dataset), paths.dataset_root(config, dataset)
        self.class_texts = [module.class_text(name) for name in module.class_names(root)]
        self.n_classes = len(self.class_texts)
        model = self.load_backbone("cpu")
        self.dim, self.image_size, self.logit_scale = model.dim, model.image_size, model.logit_scale
        self.n_steps = n_frames // model.tubelet
        self.texts = encoding.text_features(model, self.protocol.prompt_sets, self.class_texts)
        self.backbone = {
            "name": backbone,
            **dataclasses.asdict(spec),
            "weights_sha256": encoding.weights_sha256(model),
        }
        self._source = frame_cache.source(config, dataset, self.image_size)
        self._clips: dict[tuple[str, int], np.ndarray] = {}
        self._cached_bytes = 0
        self._reasons: dict[tuple[str, int], str] = {}  # of every video tried: "" if it decoded

    def load_backbone(self, device: str) -> backbones.Backbone:
        """A fresh copy of the backbone with its pre-trained weights."""
        return backbones.load(self.spec, device)

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
        """Which of the videos at `positions` (all by default) decode, bool (n,): each that the manifest calls
        readable is tried once.
        """
        positions = np.arange(len(self.lists[split])) if positions is None else positions
        readable = self.lists[split]["readable"].to_numpy(bool)

        def decodes(position: int) -> bool:
            if readable[position] and (split, position) not in self._reasons:
                self._try(split, position)
            return bool(readable[position]) and not self._reasons[split, position]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.array(list(pool.map(decodes, positions.tolist())), dtype=bool)

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Views of some usable videos, uint8 (n, V, T, S, S, 3)."""
        return np.stack([self._clip(split, position) for position in positions.tolist()])

    def text(self, prompt_set: str) -> Tensor | None:
        """L2-normalised class texts (C, D); None where the backbone knows no text."""
        if self.texts is None:
            return None
        if prompt_set not in self.protocol.prompt_sets:
            raise ConfigError(f"protocol.prompt_sets in params.yaml has no '{prompt_set}'; run the search stages again")
        return torch.from_numpy(self.texts[self.protocol.prompt_sets.index(prompt_set)])

    def _try(self, split: str, position: int) -> None:
        try:
            self._clip(split, position)
            self._reasons[split, position] = ""
        except video.Unreadable as error:
            self._reasons[split, position] = error.reason

    def _clip(self, split: str, position: int) -> np.ndarray:
        """One video's views, uint8 (V, T, S, S, 3), from memory if they are there.

        Raises:
            Unreadable: the video cannot be decoded.
        """
        key = (split, position)
        if key in self._clips:
            return self._clips[key]
        source, p = self._source(self.lists[split].loc[position, "path"]), self.protocol
        n_clips, n_crops = encoding.views(p, split)
        clip = video.load_views(
            source, self.n_frames, n_clips, n_crops, self.image_size, sampling=p.sampling, resize=p.resize
        )
        if self._cached_bytes + clip.nbytes <= CACHE_BYTES:
            self._clips[key] = clip
            self._cached_bytes += clip.nbytes
        return clip
