"""Before `dvc repro` changes anything, check params.yaml, the data that nothing generates, and that nothing else is
running.

    python -m tools.preflight [profile]

It also strips notebooks that an editor saved with outputs (`tools.notebooks`), for which DVC would run their stages
again. It prints one line and exits with 0, or with 1 at the first error.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import torch

from tools import notebooks, running
from vidprism import datasets, methods
from vidprism.complexity import time_steps
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig, Config, ConfigError, load_config, paths
from vidprism.config.rows import GROUPS, rows

N_CLASSES = 2  # classes of the heads that are built to check their options
WITHOUT_TEXT = ("videomae",)  # kinds of backbones without a text tower


def check_options(config: Config) -> int:
    """Build the head of every row that the profile expects, and of every searched method, with its options, on the meta
    device (shapes without memory), and return the number of rows.

    Raises:
        ConfigError: an unknown option, a value that the method cannot take for its clips or its backbone, or a method
            that the row's track cannot train; names the row.
    """
    p = config.profile
    runs = [
        (f"{group}, row {r.key}", r.method, r.options, r.backbone, r.frames, r.track)
        for group in GROUPS
        for r in rows(config, group).values()
    ]
    searched = [
        (f"search of {m}", m, config.methods.get(m, {}), p.few_shot.backbone, p.search.frames, p.protocol.track)
        for ms in p.search.methods.values()
        for m in ms
    ]
    for where, method, options, backbone, frames, track in runs + searched:
        try:
            methods.check_track(method, track)
            _build(method, options, p.backbones[backbone], frames)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    return len(runs)


def _build(method: str, options: dict[str, Any], spec: BackboneConfig, frames: int) -> None:
    dim = import_module(f"vidprism.complexity.{spec.key}").tower(spec.model).dim
    with torch.device("meta"):
        text_CD = None if spec.key in WITHOUT_TEXT else torch.empty(N_CLASSES, dim)
        task = methods.Task(dim, N_CLASSES, time_steps(spec.key, spec.model, frames), text_CD)
        methods.build(method, task, options, seed=0)


def check_data(config: Config) -> list[str]:
    """Check the official lists and videos of every dataset and the weights of every used backbone, for a profile that
    does not generate them.

    Returns:
        Notes: weights that the pipeline will have to fetch.

    Raises:
        DatasetError: a list or folder is missing or wrong, or the videos lie elsewhere; see `vidprism.datasets`.
        FileNotFoundError: the weights of a backbone are a path, and nothing is there.
        ValueError: the weights of a backbone are a tag that open_clip does not have.
    """
    p, notes = config.profile, []
    for name in p.datasets:
        if name not in p.generate:
            root, module = paths.dataset_root(config, name), datasets.load_dataset(name)
            datasets.check_placed(root, module.NAME, module.list_videos(root, p.protocol.split_of(name)))
    for name in p.used_backbones:
        spec = p.backbones[name]
        # a tag of open_clip has neither a slash nor a dot
        is_path = "/" in spec.weights or "." in spec.weights
        off = name in p.few_shot.video.backbones and name not in p.few_shot.video.run
        made = name in p.pretrained
        if made or off or spec.weights == RANDOM_WEIGHTS:
            continue
        if is_path and not (config.root_dir / spec.weights).exists():
            raise FileNotFoundError(
                f"params.yaml: no weights at {config.root_dir / spec.weights}; put them there or correct "
                f"{p.name}.backbones.{name}.weights"
            )
        if not is_path and spec.key == "clip" and not _is_cached(spec):
            notes.append(f"the weights '{spec.weights}' of {name} are not on this machine and will be fetched")
    return notes


def _is_cached(spec: BackboneConfig) -> bool:
    from vidprism.backbones import clip  # imports open_clip, which takes seconds, only for a profile with a tag

    return clip.is_cached(spec)


def main(profile: str | None = None) -> int:
    """Run all checks of a profile (None: the chosen one) and print one line. Returns the exit status."""
    try:
        config = load_config(profile)
        n_rows = check_options(config)
        notes = [] if config.profile.generated else check_data(config)
        stripped = notebooks.clean_all(config.root_dir)
        running.check(config.root_dir)
    except (ValueError, OSError, running.Busy) as error:  # ConfigError and DatasetError are ValueErrors
        print("error:", " ".join(str(error).split()))
        return 1
    if stripped:
        notes.append(f"outputs and metadata that an editor saved were stripped from {', '.join(stripped)}")
    print("; ".join([f"{config.profile.name}: {n_rows} rows in {len(GROUPS)} groups: parameters are sound", *notes]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
