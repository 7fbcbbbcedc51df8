"""The only reader of ``params.yaml``: names and numbers in, frozen dataclasses out. Nothing here imports torch."""

from __future__ import annotations

import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from vidprism.config.schema import (
    AblationsConfig,
    BackboneConfig,
    ClosedSetConfig,
    Config,
    FewShotConfig,
    PretrainConfig,
    Profile,
    ProtocolConfig,
    SearchConfig,
    TrainConfig,
    TunedConfig,
    WorldConfig,
)
from vidprism.config.strict import ConfigError, build, nearest

__all__ = [
    "AblationsConfig",
    "BackboneConfig",
    "ClosedSetConfig",
    "Config",
    "ConfigError",
    "FewShotConfig",
    "PretrainConfig",
    "Profile",
    "ProtocolConfig",
    "SearchConfig",
    "TrainConfig",
    "TunedConfig",
    "WorldConfig",
    "find_root",
    "load_config",
    "nearest",
]


def find_root(start: Path | None = None) -> Path:
    """The folder that holds params.yaml: `start` (default: the working directory) or the nearest one above it."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise ConfigError(f"no params.yaml in {start} or above; run this inside a clone of the suite")


def load_config(profile: str | None = None, root: Path | None = None) -> Config:
    """Read params.yaml.

    Args:
        profile: name of a profile; None takes the one the `profile:` line chooses.
        root: folder of params.yaml; None searches upwards from the working directory.

    Raises:
        ConfigError: unknown, missing or mistyped key; unknown profile, dataset, method or backbone.
    """
    root = find_root() if root is None else Path(root)
    raw = _read_yaml(root / "params.yaml")
    profiles = {v["name"]: v for v in raw.values() if isinstance(v, dict) and "name" in v}
    known = {
        "seed",
        "methods",
        "variants",
        "profile",
        *(k for k, v in raw.items() if isinstance(v, dict) and "name" in v),
    }
    for key in raw:
        if key not in known:
            raise ConfigError(f"params.yaml: unknown key '{key}'; {nearest(key, known)}")
    if not isinstance(raw.get("profile"), dict):
        raise ConfigError(
            "params.yaml: the last line must choose a profile by its anchor, for example `profile: *mini`"
        )
    chosen = raw["profile"] if profile in (None, raw["profile"].get("name")) else profiles.get(profile)
    if chosen is None:
        raise ConfigError(f"params.yaml: no profile named '{profile}'; {nearest(profile, profiles)}")
    name = chosen.get("name", "profile")
    config = Config(
        int(raw["seed"]),
        {k: dict(v or {}) for k, v in raw["methods"].items()},
        build(Profile, chosen, name),
        root,
    )
    _check_names(config)
    return config


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not valid YAML: {error}") from error


def _check_names(config: Config) -> None:
    """Every dataset, method and backbone that the profile names must exist as a file or an entry."""
    p, package = config.profile, Path(__file__).parents[1]
    datasets = _stems(package / "datasets")
    methods = _stems(package / "methods")
    for where, name in [
        *((f"{p.name}.datasets", d) for d in (*p.datasets, *p.generate, *p.features)),
        (f"{p.name}.closed_set.dataset", p.closed_set.dataset),
        *((f"{p.name}.few_shot.datasets", d) for d in (*p.few_shot.datasets, p.tuned.dataset)),
        *((f"{p.name}.ablations.datasets", d) for d in p.ablations.datasets),
    ]:
        _known(where, name, datasets, "dataset")
    searched = [m for group in p.search.methods.values() for m in group]
    for group in (
        p.closed_set.controls,
        p.closed_set.vidprism,
        p.few_shot.controls,
        p.few_shot.vidprism,
        p.few_shot.tuned_controls,
        p.few_shot.tuned_vidprism,
        searched,
        [p.ablations.method],
        config.methods,
    ):
        for name in group:
            _known(f"methods used by {p.name}", name, methods, "method")
    for name in (*p.closed_set.backbones, p.few_shot.backbone, p.ablations.backbone, *p.pretrain):
        _known(f"{p.name}.backbones", name, p.backbones, "backbone")


def _known(where: str, name: str, known: typing.Iterable[str], kind: str) -> None:
    if name not in known:
        raise ConfigError(f"params.yaml: {where} names the unknown {kind} '{name}'; {nearest(name, known)}")


@lru_cache
def _stems(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(f.stem for f in folder.glob("*.py") if not f.stem.startswith("_")))
