"""The smoke profile over a miniature copy of a dataset, for tests that need a config and data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tools.miniature import BUILDERS
from vidprism.config import Config, load_config, paths


def small_config(root_dir: Path, dataset: str, **protocol: object) -> Config:
    """The smoke profile over a miniature copy of `dataset`; `protocol` changes its protocol."""
    config = load_config("smoke", Path(__file__).resolve().parents[1])
    chosen = {"dev_per_class": 2, "shots": (1, 2), "draw_seeds": (0, 1), "frames": (4, 8), **protocol}
    profile = replace(config.profile, root="raw", protocol=replace(config.profile.protocol, **chosen))
    config = replace(config, profile=profile, root_dir=root_dir)
    if not paths.dataset_root(config, dataset).exists():
        BUILDERS[dataset](paths.dataset_root(config, dataset))
    return config
