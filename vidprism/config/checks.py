"""Checks that field types cannot express: names that must exist, and values that must agree with each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

from vidprism.config.errors import ConfigError, nearest
from vidprism.config.schema import Config

NAME = re.compile(r"[a-z0-9_]+")


def check_config(config: Config) -> None:
    """Check the values of the chosen profile.

    Raises:
        ConfigError: a name that does not exist or that DVC cannot address, an invalid choice, or a number out of range;
            the message names the key and what is allowed.
    """
    _check_spelling(config)
    _check_names(config)
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
        ("protocol.descriptions", tuple(p.protocol.descriptions)),
        ("protocol.splits", tuple(p.protocol.splits)),
        ("analysis.subset_lists", tuple(p.analysis.subset_lists)),
        ("search.datasets", p.search.datasets),
        ("closed_set.dataset", (p.closed_set.dataset,)),
        ("few_shot.datasets", (*p.few_shot.datasets, *p.few_shot.video.datasets)),
        ("tuned.datasets", p.tuned.datasets),
        ("ablations.datasets", p.ablations.datasets),
    ):
        _check_known(f"{p.name}.{where}", names, datasets, "dataset")
    groups: tuple[Iterable[str], ...] = (
        *(p.closed_set.controls, p.closed_set.vidprism, p.few_shot.controls, p.few_shot.vidprism),
        *(p.few_shot.tuned_controls, p.few_shot.tuned_vidprism, p.few_shot.more.methods, p.few_shot.video.methods),
        *p.search.methods.values(),
        *((p.ablations.method,), config.methods, p.train.own, [method for method, _, _ in p.closed_set.rows]),
        [row.method for row in (*p.closed_set.awaiting, *p.few_shot.single, *p.few_shot.awaiting)],
        [row.method for row in p.few_shot.augmented],
        [row.method for row in p.few_shot.continued],
    )
    for used in groups:
        _check_known(f"methods used by {p.name}", used, methods, "method")
    video = p.few_shot.video
    of_table1 = [f"{method}-{backbone}-{frames}f" for method, backbone, frames in p.closed_set.rows]
    _check_known(f"{p.name}.few_shot.continued", [row.init_from for row in p.few_shot.continued], of_table1, "row")
    _check_known(f"{p.name}.backbones", p.used_backbones, p.backbones, "backbone")
    _check_known(f"{p.name}.few_shot.video.run", video.run, video.backbones, "backbone")


def _check_known(where: str, names: Iterable[str], known: Iterable[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"params.yaml: {where} names the unknown {kind} '{name}'; {nearest(name, known)}")


def _check_tuning(config: Config) -> None:
    """`blocks` and `precision` must agree with the other options of the tuned track."""
    p = config.profile
    if (p.train.tuning == "partial") != bool(p.train.blocks):
        raise ConfigError(
            f"params.yaml: {p.name}.train.blocks names what `tuning: partial` trains, for example ['last 3']; "
            f"tuning is {p.train.tuning} and blocks is {list(p.train.blocks)}"
        )
    if p.train.strategy == "fsdp" and p.train.precision == "fp16":
        raise ConfigError(
            f"params.yaml: {p.name}.train.precision fp16 cannot be combined with strategy fsdp, where each process "
            "would scale its own shards; choose auto, bf16 or fp32"
        )


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
    named += [(f"protocol.descriptions.{dataset}", name) for dataset, name in p.protocol.descriptions.items()]
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
