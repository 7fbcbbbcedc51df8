"""The only reader of ``params.yaml``: names and numbers in, frozen dataclasses out. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidprism.config import yaml_file
from vidprism.config.checks import check_config
from vidprism.config.errors import ConfigError, build_section, mapping, nearest
from vidprism.config.schema import (
    AblationsConfig,
    ClosedSetConfig,
    Config,
    FeaturesConfig,
    FewShotConfig,
    Profile,
    SearchConfig,
    TunedConfig,
)
from vidprism.config.sections import (
    RANDOM_WEIGHTS,
    AnalysisConfig,
    BackboneConfig,
    CheckConfig,
    PretrainConfig,
    ProtocolConfig,
    TowerPretrainConfig,
    TrainConfig,
    Tuning,
    VideoPretrainConfig,
    WorldConfig,
)

__all__ = [
    "RANDOM_WEIGHTS",
    "AblationsConfig",
    "AnalysisConfig",
    "BackboneConfig",
    "CheckConfig",
    "ClosedSetConfig",
    "Config",
    "ConfigError",
    "FeaturesConfig",
    "FewShotConfig",
    "PretrainConfig",
    "Profile",
    "ProtocolConfig",
    "SearchConfig",
    "TowerPretrainConfig",
    "TrainConfig",
    "TunedConfig",
    "Tuning",
    "VideoPretrainConfig",
    "WorldConfig",
    "find_root",
    "load_config",
    "nearest",
]

REQUIRED = ("seed", "methods", "profile")  # top-level keys beside the profiles
OPTIONAL = ("published",)
SHARED = ("variants", "train_defaults", "own_recipes", "recipes", "base")  # anchors that profiles merge


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
        profile: name of a profile; None takes the one the `profile:` line names.
        root: folder of params.yaml; None searches upwards from the working directory.

    Raises:
        ConfigError: unknown, missing, repeated or mistyped key; unknown profile, dataset, method or backbone; a value
            that is not allowed.
    """
    root = find_root() if root is None else Path(root)
    raw = yaml_file.read_yaml(root / "params.yaml")
    profiles = {key: v for key, v in raw.items() if isinstance(v, dict) and "name" in v}
    known = {*REQUIRED, *OPTIONAL, *SHARED, *profiles}
    for key in raw:
        if key not in known:
            raise ConfigError(f"params.yaml: unknown key '{key}'; {nearest(key, known)}")
    _check_required(raw)
    _check_recipes(raw.get("recipes"))
    named = {v["name"]: v for v in profiles.values()}
    chosen = _choose(raw["profile"], named, profile)
    methods = {str(name): mapping(options, f"methods.{name}") for name, options in raw["methods"].items()}
    section = build_section(Profile, chosen, chosen.get("name", "profile"))
    config = Config(raw["seed"], methods, section, root, _published(raw.get("published", []), named))
    check_config(config)
    return config


def _check_required(raw: dict[str, Any]) -> None:
    missing = [key for key in REQUIRED if key not in raw]
    if missing:
        raise ConfigError(f"params.yaml lacks {', '.join(missing)}")
    if type(raw["seed"]) is not int:
        raise ConfigError(f"params.yaml: seed must be int, not {raw['seed']!r}")
    if not isinstance(raw["methods"], dict):
        raise ConfigError(f"params.yaml: methods must be a mapping, not {raw['methods']!r}")
    if not isinstance(raw["profile"], dict):
        raise ConfigError(
            "params.yaml: the last line must choose a profile by its anchor, for example `profile: *mini`"
        )


def _check_recipes(raw: Any) -> None:
    """Check every recipe (a `train` section and learning rates to search), including those that no profile uses."""
    for name, recipe in mapping(raw, "recipes").items():
        parts, where = mapping(recipe, f"recipes.{name}"), f"recipes.{name}"
        if parts.keys() != {"train", "lr"}:
            raise ConfigError(f"params.yaml: {where} must have the keys train and lr, not {', '.join(map(str, parts))}")
        build_section(TrainConfig, parts["train"], f"{where}.train")


def _published(raw: Any, profiles: dict[str, dict]) -> tuple[str, ...]:
    """The names of profiles under `published`, checked."""
    if not isinstance(raw, list):
        raise ConfigError(f"params.yaml: published must be a list of profiles, not {raw!r}")
    for name in raw:
        if not isinstance(name, str) or name not in profiles:
            raise ConfigError(f"params.yaml: published names the unknown profile '{name}'; {nearest(name, profiles)}")
    return tuple(raw)


def _choose(default: dict[str, Any], profiles: dict[str, dict], name: str | None) -> dict[str, Any]:
    if name in (None, default.get("name")):
        return default
    if name not in profiles:
        raise ConfigError(f"params.yaml: no profile named '{name}'; {nearest(name, profiles)}")
    return profiles[name]
