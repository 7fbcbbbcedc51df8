"""What the types of the schema cannot say: names that must exist, choices, and numbers that must be positive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from vidprism.config.schema import Config
from vidprism.config.strict import ConfigError, nearest

NAME = re.compile(r"[a-z0-9_]+")
# What a key may be. Views of the protocol are deterministic, so sampling is not "segment_random".
CHOICES: dict[str, tuple[Any, ...]] = {
    "protocol.track": ("frozen", "tuned"),
    "protocol.sampling": ("segment_center", "segment_start", "dense"),
    "protocol.resize": ("bilinear", "bicubic"),
    "protocol.frame_cache": ("", "jpeg"),
    "analysis.fusion": ("logits", "softmax"),
    "check.decoding": ("quick", "full"),
    "protocol.n_crops": (1, 3),
    "train.tuning": ("full", "frozen", "partial"),
    "train.precision": ("auto", "fp32", "bf16", "fp16"),
    "train.sampling": ("protocol", "segment_random", "dense"),
    "train.keep_weights": ("all", "head", "none"),
    "train.non_finite": ("stop", "skip"),
    "train.strategy": ("ddp", "fsdp"),
}
NORMALISATIONS = ("checkpoint", "clip", "imagenet")
# Numbers, or lists of numbers that must not be empty, above zero.
POSITIVE = (
    "check.seconds_per_video",
    *(f"world.{key}" for key in ("train_per_class", "test_per_dataset", "frames_min", "frames_max", "processes")),
    *(f"pretraining.{key}" for key in ("steps", "batch_size", "lr", "pool", "threads")),
    *(f"video_pretraining.{key}" for key in ("steps", "batch_size", "muon_lr", "lr", "mask_ratio", "threads")),
    *(f"video_pretraining.{key}" for key in ("painted_share", "motion_weight", "decoder_width", "decoder_layers")),
    *(f"protocol.{key}" for key in ("split", "dev_per_class", "shots", "frames", "n_clips")),
    *(
        f"train.{key}"
        for key in (
            "updates",
            "batch_size",
            "decay_power",
            "backbone_lr_scale",
            "threads",
            "layer_decay",
            "views_per_batch",
            "accumulate",
            "nodes",
            "timeout_sec",
        )
    ),
    *(f"search.{key}" for key in ("lr", "shots", "frames", "updates", "draws", "tuned_updates")),
    *(f"closed_set.{key}" for key in ("frames", "updates")),
    *(f"few_shot.{key}" for key in ("frames", "shots")),
    *(f"tuned.{key}" for key in ("shots", "frames", "updates", "batch_size")),
    *(f"ablations.{key}" for key in ("frames", "shots")),
)
# The same, but zero is a value too: seeds count from it, and a decay may be switched off.
NOT_NEGATIVE = (
    *(
        "check.processes",
        "world.seed",
        "world.classes",
        "pretraining.seed",
        "pretraining.weight_decay",
        "protocol.draw_seeds",
    ),
    *(f"video_pretraining.{key}" for key in ("muon_weight_decay", "muon_momentum", "weight_decay", "seed")),
    *(
        "train.weight_decay",
        "train.warmup",
        "train.ema_decay",
        "train.workers",
        "train.save_every",
        "train.log_every",
        "train.bad_share",
        "closed_set.repeats",
        "few_shot.repeats",
        "ablations.repeats",
    ),
)

BELOW_ONE = ("train.ema_decay", "train.bad_share", "video_pretraining.mask_ratio", "video_pretraining.muon_momentum")


def check_config(config: Config) -> None:
    """Check the values of the chosen profile.

    Raises:
        ConfigError: a name that does not exist or that DVC cannot address, a choice that is none, or a number
            out of range; the message names the key and what is allowed.
    """
    _check_spelling(config)
    _check_names(config)
    _check_values(config)
    _check_prepared(config)
    _check_lists(config)
    _check_tuning(config)


def _check_spelling(config: Config) -> None:
    """DVC addresses a method or variant as `methods.<name>`, so the name must be plain."""
    for where, names in (
        ("methods", config.methods),
        (f"{config.profile.name}.ablations.variants", config.profile.ablations.variants),
    ):
        for name in names:
            if not NAME.fullmatch(name):
                raise ConfigError(f"params.yaml: the name '{name}' in {where} must be made of [a-z0-9_] only")


def _check_names(config: Config) -> None:
    """Every dataset, method and backbone that the profile names must exist as a file or an entry."""
    p, package = config.profile, Path(__file__).parents[1]
    datasets, methods = _stems(package / "datasets"), _stems(package / "methods")
    for where, names in (
        ("datasets", (*p.datasets, *p.generate, *p.features.datasets)),
        ("protocol.shot_lists", tuple(p.protocol.shot_lists)),
        ("protocol.splits", tuple(p.protocol.splits)),
        ("analysis.subset_lists", tuple(p.analysis.subset_lists)),
        ("search.datasets", p.search.datasets),
        ("closed_set.dataset", (p.closed_set.dataset,)),
        ("few_shot.datasets", (*p.few_shot.datasets, *p.few_shot.video.datasets)),
        ("tuned.dataset", (p.tuned.dataset,)),
        ("ablations.datasets", p.ablations.datasets),
    ):
        _check_known(f"{p.name}.{where}", names, datasets, "dataset")
    groups = (
        *(p.closed_set.controls, p.closed_set.vidprism, p.few_shot.controls, p.few_shot.vidprism),
        *(p.few_shot.tuned_controls, p.few_shot.tuned_vidprism, p.few_shot.more.methods, p.few_shot.video.methods),
        *p.search.methods.values(),
        *((p.ablations.method,), config.methods),
    )
    for names in groups:
        _check_known(f"methods used by {p.name}", names, methods, "method")
    video = p.few_shot.video
    _check_known(f"{p.name}.backbones", p.used_backbones, p.backbones, "backbone")
    _check_known(f"{p.name}.few_shot.video.run", video.run, video.backbones, "backbone")


def _check_known(where: str, names: Iterable[str], known: Iterable[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"params.yaml: {where} names the unknown {kind} '{name}'; {nearest(name, known)}")


def _check_values(config: Config) -> None:
    p = config.profile
    for key, allowed in CHOICES.items():
        value = attrgetter(key)(p)
        if value not in allowed:
            raise ConfigError(f"params.yaml: {p.name}.{key} must not be {value!r}; {nearest(value, allowed)}")
    for keys, least, words in ((POSITIVE, 1e-300, "above 0"), (NOT_NEGATIVE, 0, "0 or more")):
        for key in keys:
            value = attrgetter(key)(p)
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers:
                raise ConfigError(f"params.yaml: {p.name}.{key} must not be empty; list numbers {words}")
            for number in numbers:
                if not least <= number < float("inf"):  # nan fails too
                    raise ConfigError(f"params.yaml: {p.name}.{key} must be {words}, not {number!r}")
    for key in BELOW_ONE:
        if attrgetter(key)(p) >= 1:
            raise ConfigError(f"params.yaml: {p.name}.{key} must be below 1, not {attrgetter(key)(p)}")


def _check_tuning(config: Config) -> None:
    """How the tuned track trains its backbone, and how each backbone's pixels are normalised."""
    p = config.profile
    for name, spec in p.backbones.items():
        key, value = f"{p.name}.backbones.{name}.normalisation", spec.normalisation
        if value not in NORMALISATIONS:
            raise ConfigError(f"params.yaml: {key} must not be {value!r}; {nearest(value, NORMALISATIONS)}")
    if (p.train.tuning == "partial") != bool(p.train.blocks):
        raise ConfigError(
            f"params.yaml: {p.name}.train.blocks names what `tuning: partial` trains, for example ['last 3']; "
            f"tuning is {p.train.tuning} and blocks is {list(p.train.blocks)}"
        )
    if p.train.strategy == "fsdp" and p.train.precision == "fp16":
        raise ConfigError(
            f"params.yaml: {p.name}.train.precision fp16 does not go with strategy fsdp, each of whose processes would "
            "scale its shards by itself; choose auto, bf16 or fp32"
        )
    devices = p.train.devices
    if devices != "auto" and (type(devices) is not int or devices < 1):
        raise ConfigError(
            f"params.yaml: {p.name}.train.devices must be `auto` or a number of processes, not {devices!r}"
        )
    if p.train.layer_decay > 1:
        raise ConfigError(f"params.yaml: {p.name}.train.layer_decay must be at most 1, not {p.train.layer_decay}")


def _check_prepared(config: Config) -> None:
    """Shots and frames that a group asks for must be among those that are drawn and sampled."""
    p = config.profile
    for backbone in p.used_backbones:
        lost = [n for n in p.backbones[backbone].frames if n not in p.protocol.frames]
        if lost:
            raise ConfigError(
                f"params.yaml: {p.name}.backbones.{backbone}.frames has {lost}; add them to protocol.frames"
            )
    if p.search.draws > len(p.protocol.draw_seeds):
        raise ConfigError(
            f"params.yaml: {p.name}.search.draws asks for {p.search.draws} draws, but protocol.draw_seeds prepares "
            f"{list(p.protocol.draw_seeds)} only; add some there, or search with fewer"
        )
    video = ("few_shot.video",) if p.few_shot.video.backbones else ()
    for name, groups in (
        ("shots", ("search", "few_shot", "tuned", "ablations")),
        ("frames", ("search", "closed_set", "few_shot", *video, "tuned", "ablations")),
    ):
        prepared = getattr(p.protocol, name)
        for group in groups:
            value = attrgetter(f"{group}.{name}")(p)
            missing = [n for n in (value if isinstance(value, tuple) else (value,)) if n not in prepared]
            if missing:
                raise ConfigError(
                    f"params.yaml: {p.name}.{group}.{name} asks for {missing}, but protocol.{name} prepares "
                    f"{list(prepared)} only; add them there"
                )


def _check_lists(config: Config) -> None:
    """Lists are named by their file in data/lists, and a list of K shots needs a K that the protocol prepares."""
    p = config.profile
    shots = tuple(map(str, p.protocol.shots))
    named = [(f"analysis.subset_lists.{dataset}", name) for dataset, name in p.analysis.subset_lists.items()]
    for dataset, by_shots in p.protocol.shot_lists.items():
        for k, name in by_shots.items():
            where = f"protocol.shot_lists.{dataset}"
            if k not in shots:
                raise ConfigError(f"params.yaml: {p.name}.{where} has a list for {k} shots; {nearest(k, shots)}")
            named.append((f"{where}.{k}", name))
    for where, name in named:
        if name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
            raise ConfigError(f"params.yaml: {p.name}.{where} must be the name of a file in data/lists, not {name!r}")


@lru_cache
def _stems(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(f.stem for f in folder.glob("*.py") if not f.stem.startswith("_")))
