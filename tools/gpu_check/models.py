"""Models with random weights and clips of noise, on which the check runs, and the sizes of the full check and of its
toy form.

Letters: B clips, T frames, S side in pixels, C classes.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from vidprism import backbones, methods
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig
from vidprism.finetuning.model import EndToEnd
from vidprism.training.recipe import Recipe, Tuning


@dataclass(frozen=True)
class Tower:
    """A backbone and the frames T of its clips: `key` is a file of vidprism/backbones, `name` one of its models."""

    key: str
    name: str
    frames: int


B16, L14 = "ViT-B-16-quickgelu", "ViT-L-14-quickgelu"


@dataclass(frozen=True)
class Size:
    """The size of the check. `most_frames` limits a batch: 2,048 are the paper profile's 64 clips of 32 frames."""

    right: tuple[Tower, ...]
    fast: tuple[Tower, ...]
    scored: Tower
    n_classes: int
    n_clips: int
    most_frames: int
    updates: int
    matrix: int
    videos: int
    video_frames: int
    compiled: bool


MINI = (Tower("clip", "mini_clip", 8), Tower("videomae", "mini_videomae", 16))
FULL = Size(
    right=(*MINI, Tower("clip", B16, 4)),
    fast=tuple(Tower("clip", name, frames) for name in (B16, L14) for frames in (8, 32)),
    scored=Tower("clip", L14, 32),
    n_classes=400,
    n_clips=2,
    most_frames=2048,
    updates=5,
    matrix=8192,
    videos=64,
    video_frames=250,
    compiled=True,
)
TOY = Size(
    right=MINI,
    fast=(Tower("clip", "mini_clip", 8),),
    scored=Tower("clip", "mini_clip", 8),
    n_classes=5,
    n_clips=4,
    most_frames=32,
    updates=2,
    matrix=256,
    videos=4,
    video_frames=16,
    compiled=False,
)


def device() -> str:
    """The GPU, or the CPU for the toy form."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load(tower: Tower, on: str) -> backbones.Backbone:
    """A backbone with random weights, the same every time."""
    return backbones.load_backbone(BackboneConfig(tower.key, tower.name, "", RANDOM_WEIGHTS), on)


_loaded = lru_cache(maxsize=4)(load)


def forget() -> None:
    """Free the backbones that `build` keeps for the next model."""
    _loaded.cache_clear()


def build(tower: Tower, method: str, n_classes: int, tuned: Tuning | None = None, on: str | None = None) -> EndToEnd:
    """Backbone and head with random weights, the same every time.

    Raises:
        ConfigError: see `assemble`.
    """
    return assemble(deepcopy(_loaded(tower, on or device())), tower, method, n_classes, tuned, on)


def assemble(
    backbone: backbones.Backbone,
    tower: Tower,
    method: str,
    n_classes: int,
    tuned: Tuning | None = None,
    on: str | None = None,
) -> EndToEnd:
    """The backbone with a head, without the text loss if there are no texts.

    Raises:
        ConfigError: the method cannot work on this backbone.
    """
    options = (
        {"lambda_text": 0} if not backbone.has_text and "lambda_text" in methods.load_method(method).DEFAULTS else {}
    )
    head = methods.build(method, task(tower, backbone, n_classes), options, 0)
    return EndToEnd(backbone, head.to(on or device()), tuned)


def task(tower: Tower, backbone: backbones.Backbone, n_classes: int) -> methods.Task:
    """The task of a head on this backbone; texts are random directions."""
    texts = None
    if backbone.has_text:
        texts = torch.randn(n_classes, backbone.dim, generator=torch.Generator().manual_seed(1))
        texts = nn.functional.normalize(texts, dim=1)
    return methods.Task(backbone.dim, n_classes, tower.frames // backbone.tubelet, texts, backbone.logit_scale)


def recipe(batch_size: int, updates: int, tuned: Tuning) -> Recipe:
    """A recipe that changes all weights a little."""
    return Recipe(updates, batch_size, 1e-3, 0.05, 0.1, 0.1, tuned=tuned)


class Noise(Dataset):
    """`n` labelled clips with frames of different colours and noise, as training data for `fit`."""

    def __init__(self, n: int, frames: int, size_px: int, n_classes: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.shape, self.labels = (frames, size_px, size_px, 3), torch.arange(n) % n_classes
        colours = torch.randint(0, 156, (n, frames, 1, 1, 3), generator=generator)
        noise = torch.randint(0, 100, (n, *self.shape), generator=generator)
        self.clips_BTSS3 = (colours + noise).to(torch.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, number: int) -> str:
        """The name of a clip in errors."""
        return f"clip {number % len(self)}"

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        i = number % len(self)
        return self.clips_BTSS3[i], int(self.labels[i])


def noise(tower: Tower, n: int, n_classes: int) -> Noise:
    """Clips for a tower."""
    return Noise(n, tower.frames, _loaded(tower, device()).image_size, n_classes)
