"""A trial world: the classes of the mini world with objects, backgrounds and paths of another seed.

Its clips are rendered straight to the small CLIP, without encoding, so that no video of the benchmark is looked at,
neither a training, a dev nor a test video. Shapes: N clips, T frames, D width, C classes.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidprism.backbones import Backbone
from vidprism.config import WorldConfig
from vidprism.datasets import load_dataset
from vidprism.features.encode import text_features
from vidprism.training.inputs import TrainingSet
from vidprism.world.plan import Clip, classes_of, clips_of, course, look
from vidprism.world.render import render

FRAMES, SIZE = 32, 48
DEV_PER_CLASS = 12
CLIPS_AT_ONCE = 16
PROMPT_SETS = ("plain", "photo", "video", "ensemble")


@dataclass(frozen=True)
class TrialInputs:
    """The features of a trial world in memory, with the attributes of `vidprism.training.inputs.Inputs`. The splits are
    train, dev (of groups that train does not hold) and test, with one view a clip.
    """

    features: dict[str, np.ndarray]
    of_class: dict[str, np.ndarray]
    texts: dict[str, Tensor]
    dim: int
    n_classes: int
    logit_scale: float
    n_steps: int = FRAMES
    fingerprint: str = "trial world"
    backbone: dict[str, Any] = field(default_factory=dict)
    class_texts: list[str] = field(default_factory=list)  # no control reads the words

    def index(self, split: str) -> pd.DataFrame:
        """Numbers and labels of the clips of a split."""
        labels_N = self.of_class[split]
        return pd.DataFrame({"video_id": np.arange(len(labels_N)).astype(str), "label": labels_N, "readable": True})

    def labels(self, split: str) -> np.ndarray:
        """Labels (N,)."""
        return self.of_class[split]

    def usable(self, split: str, positions: np.ndarray | None = None) -> np.ndarray:
        """True for every clip."""
        return np.ones(len(self.of_class[split] if positions is None else positions), bool)

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Features (N, 1, T, D) float32."""
        return self.features[split][positions, None]

    def text(self, prompt_set: str) -> Tensor:
        """Class texts (C, D)."""
        return self.texts[prompt_set]

    def draw(self, shots: int, seed: int) -> TrainingSet:
        """`shots` training clips of each class."""
        rng, labels_N = np.random.default_rng(seed), self.of_class["train"]
        chosen = [rng.permutation(np.flatnonzero(labels_N == label))[:shots] for label in range(self.n_classes)]
        return TrainingSet(np.sort(np.concatenate(chosen)), shots * self.n_classes, seed, None)


def make_trial(dataset: str, world: WorldConfig, backbone: Backbone) -> TrialInputs:
    """Render and encode the trial world of a dataset; its seed is the one after the world's."""
    trial = replace(world, seed=world.seed + 1)
    clips = [clip for clip in clips_of(dataset, trial) if clip.split != "extra"]
    module = load_dataset(dataset)
    names = sorted(clip.name for clip in classes_of(dataset, trial))
    split_of = _splits(clips, trial.seed)
    with ProcessPoolExecutor(trial.processes, mp_context=get_context("spawn")) as pool:
        features_NTD = _encode(backbone, np.stack(list(pool.map(partial(_frames, trial), clips, chunksize=16))))
    labels_N = np.array([names.index(clip.action.name) for clip in clips])
    texts = text_features(backbone, PROMPT_SETS, [module.class_text(_plain(name)) for name in names])
    assert texts is not None, "the small CLIP reads texts"
    return TrialInputs(
        {split: features_NTD[split_of == split] for split in ("train", "dev", "test")},
        {split: labels_N[split_of == split] for split in ("train", "dev", "test")},
        {name: torch.from_numpy(text_CD) for name, text_CD in zip(PROMPT_SETS, texts, strict=True)},
        backbone.dim,
        len(names),
        backbone.logit_scale,
    )


def _plain(name: str) -> str:
    return name.replace("[", "").replace("]", "")


def _splits(clips: list[Clip], seed: int) -> np.ndarray:
    """Split of each clip, (N,); whole groups of the training list become dev until a class has enough."""
    rng, dev = np.random.default_rng(seed), set()
    for action in sorted({clip.action.name for clip in clips}):
        own = [clip for clip in clips if clip.action.name == action and clip.split == "train"]
        n = 0
        for group in rng.permutation(sorted({clip.group for clip in own})):
            if n < DEV_PER_CLASS:
                dev.add((action, int(group)))
                n += sum(clip.group == group for clip in own)
    return np.array(["dev" if c.split == "train" and (c.action.name, c.group) in dev else c.split for c in clips])


def _frames(world: WorldConfig, clip: Clip) -> np.ndarray:
    """The middles of `FRAMES` segments of a clip, their centre crop: (T, S, S, 3) uint8."""
    frames = render(look(clip, world.seed), course(clip, world))
    at = ((np.arange(FRAMES) + 0.5) * len(frames) / FRAMES).astype(int)
    left = (frames.shape[2] - SIZE) // 2
    return frames[at, :, left : left + SIZE]


@torch.inference_mode()
def _encode(backbone: Backbone, frames_NTSS3: np.ndarray) -> np.ndarray:
    """Features (N, T, D) float32."""
    return torch.cat(
        [backbone.encode_clips(part) for part in torch.from_numpy(frames_NTSS3).split(CLIPS_AT_ONCE)]
    ).numpy()
