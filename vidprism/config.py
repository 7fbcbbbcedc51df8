"""The only reader of ``params.yaml``: names and numbers in, frozen dataclasses out.

An unknown key is an error that names the nearest known one. Nothing here imports torch.
"""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


class ConfigError(ValueError):
    """Something in params.yaml is wrong; the message says what, where and what to do."""


@dataclass(frozen=True)
class WorldConfig:
    """The generated benchmark (vidprism.world): counts, frame size and the seed of everything random in it.

    `train_per_class` is the official training list (the dev pool is held out of it later); `test_per_dataset` is
    spread evenly over the classes; `classes` keeps the first classes of each dataset only (0: all of them).
    """

    seed: int = 1024
    train_per_class: int = 64
    test_per_dataset: int = 280
    frames_min: int = 36
    frames_max: int = 40
    classes: int = 0
    processes: int = 2


@dataclass(frozen=True)
class PretrainConfig:
    """Contrastive pre-training of the small CLIP on captioned stills: a budget of steps, never of seconds."""

    steps: int = 900
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1
    pool: int = 600
    seed: int = 7
    threads: int = 2


@dataclass(frozen=True)
class BackboneConfig:
    """A frame encoder: `key` is a file of vidprism/backbones/, `size` the column of Table 1 it fills."""

    key: str
    model: str
    size: str
    weights: str


@dataclass(frozen=True)
class ProtocolConfig:
    """How videos become clips and scores (each value is a documented choice, see docs/protocol.md)."""

    split: int
    dev_per_class: int
    shots: tuple[int, ...]
    draw_seeds: tuple[int, ...]
    frames: tuple[int, ...]
    n_clips: int
    n_crops: int
    track: str = "frozen"
    sampling: str = "segment_center"
    resize: str = "bilinear"
    fusion: str = "logits"
    prompt_sets: tuple[str, ...] = ("plain", "photo", "video", "ensemble")


@dataclass(frozen=True)
class TrainConfig:
    """One recipe for every trained method; the learning rate comes from the search."""

    updates: int
    batch_size: int
    weight_decay: float = 0.05
    warmup: float = 0.1
    backbone_lr_scale: float = 0.1
    threads: int = 2


@dataclass(frozen=True)
class SearchConfig:
    """The search every method gets: the same number of trials, scored on the dev pool only."""

    methods: dict[str, list[str]]
    lr: tuple[float, ...]
    shots: int
    frames: int
    updates: int


@dataclass(frozen=True)
class ClosedSetConfig:
    """Table 1: one row per method, backbone and frame count, trained on the whole training list."""

    dataset: str
    controls: tuple[str, ...]
    vidprism: tuple[str, ...]
    backbones: tuple[str, ...]
    frames: tuple[int, ...]
    repeats: tuple[int, ...]


@dataclass(frozen=True)
class FewShotConfig:
    """Table 2: one row per method; repeat i trains with seed i on draw i."""

    datasets: tuple[str, ...]
    controls: tuple[str, ...]
    vidprism: tuple[str, ...]
    tuned: tuple[str, ...]
    backbone: str
    frames: int
    shots: tuple[int, ...]
    repeats: tuple[int, ...]


@dataclass(frozen=True)
class TunedConfig:
    """The cell of Table 2 that is measured on the tuned track as well."""

    dataset: str
    shots: int
    frames: int
    updates: int
    batch_size: int


@dataclass(frozen=True)
class AblationsConfig:
    """Tables 3 to 5 and the readings: one row per variant of one method."""

    method: str
    datasets: tuple[str, ...]
    backbone: str
    frames: int
    shots: int
    repeats: tuple[int, ...]
    variants: dict[str, dict]


@dataclass(frozen=True)
class Profile:
    """One complete run of the suite; its name is part of every path."""

    name: str
    generated: bool
    root: str
    inputs: str
    watch: str
    generate: tuple[str, ...]
    pretrain: tuple[str, ...]
    datasets: tuple[str, ...]
    features: tuple[str, ...]
    tables: dict[str, list[str]]
    world: WorldConfig
    pretraining: PretrainConfig
    backbones: dict[str, BackboneConfig]
    protocol: ProtocolConfig
    train: TrainConfig
    search: SearchConfig
    closed_set: ClosedSetConfig
    few_shot: FewShotConfig
    tuned: TunedConfig
    ablations: AblationsConfig


@dataclass(frozen=True)
class Config:
    """params.yaml with one profile chosen."""

    seed: int
    methods: dict[str, dict]
    profile: Profile
    root_dir: Path = field(compare=False)


def find_root(start: Path | None = None) -> Path:
    """The folder that holds params.yaml: `start` (default: the working directory) or the nearest one above it."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise ConfigError(f"no params.yaml in {start} or above; run this inside a clone of the suite")


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """The phrase that ends an error about an unknown name: the nearest known one, and all of them."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(known)}"


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
        _build(Profile, chosen, name),
        root,
    )
    _check_names(config)
    return config


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not valid YAML: {error}") from error


def _build(cls: type, raw: Any, where: str) -> Any:
    """A dataclass from a mapping: unknown and missing keys are errors, lists become tuples."""
    if not isinstance(raw, dict):
        raise ConfigError(f"params.yaml: {where} must be a mapping of keys to values, not {raw!r}")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in raw:
        if key not in known:
            raise ConfigError(f"params.yaml: unknown key '{where}.{key}'; {nearest(key, known)}")
    missing = [
        n for n, f in known.items() if n not in raw and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f"params.yaml: {where} lacks {', '.join(missing)}")
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in raw.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _build(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(args[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"params.yaml: {where} must be a list, not {value!r}")
        return tuple(_convert(args[0], v, where) for v in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"params.yaml: {where} must be a mapping, not {value!r}")
        return {str(k): _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool) and type(value) is not hint:
        raise ConfigError(f"params.yaml: {where} must be {hint.__name__}, not {value!r}")
    return dict(value or {}) if hint is dict else value


def _check_names(config: Config) -> None:
    """Every dataset, method and backbone that the profile names must exist as a file or an entry."""
    p, package = config.profile, Path(__file__).parent
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
        p.few_shot.tuned,
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
