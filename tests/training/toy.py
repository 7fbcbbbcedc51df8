"""A backbone small enough to train in a moment, and rows that tune it on miniature videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tests.small_config import small_config
from tests.synthetic_store import write_choice
from vidprism.config import Config, rows
from vidprism.videos import manifest

DIM, SIZE = 8, 24


class ToyBackbone:
    """A linear map of a frame's mean colour in each quarter."""

    dim, image_size, logit_scale, tubelet, has_text = DIM, SIZE, 10.0, 1, True

    def __init__(self) -> None:
        weight = torch.randn(DIM, 12, generator=torch.Generator().manual_seed(0))
        self.module = torch.nn.Linear(12, DIM, bias=False)
        self.module.weight = torch.nn.Parameter(weight)

    def encode_clips(self, clips: torch.Tensor) -> torch.Tensor:
        return self.encode_frames(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        quarters = torch.nn.functional.avg_pool2d(frames.permute(0, 3, 1, 2).float() / 255, SIZE // 2)
        return self.module(quarters.flatten(1))

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        letters = torch.tensor([[float(text.count(c)) + 0.1 for c in "aeiouyst"] for text in texts])
        return torch.nn.functional.normalize(letters, dim=1)


class VividBackbone(ToyBackbone):
    """A toy that tells the miniature's clips apart, whose mean colours are nearly the same."""

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        quarters = torch.nn.functional.avg_pool2d(frames.permute(0, 3, 1, 2).float() / 255, SIZE // 2)
        return self.module(30 * (quarters.flatten(1) - 0.5))


def make_config(root: Path) -> Config:
    """A prepared miniature UCF-101 with the choices of four searches."""
    config = changed(small_config(root, "ucf101", n_clips=2, track="tuned"), threads=1, backbone_lr_scale=0.5)
    manifest.prepare(config, "ucf101")
    choices = {"mean_pool": 0.01, "vidprism_c": 0.01, "regression_halves": 0.1, "clip_zeroshot": "plain"}
    for method, chosen in choices.items():
        write_choice(config, method, chosen)
    return config


def changed(config: Config, **train: object) -> Config:
    """Another `train` section."""
    return replace(config, profile=replace(config.profile, train=replace(config.profile.train, **train)))


def make_row(method: str, **changed: object) -> rows.Row:
    plan = {
        "group": "few_shot",
        "key": f"{method}-tuned",
        "method": method,
        "backbone": "mini_clip",
        "frames": 8,
    }
    cells = {"datasets": ("ucf101",), "shots": (2,), "repeats": (0, 1), "options": {}, "track": "tuned"}
    return rows.Row(**{**plan, **cells, "updates": 10, "batch_size": 4, **changed})
