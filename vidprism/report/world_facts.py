"""The checked facts about the generated world: what the small backbone knows, and what stills cannot show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.records.record import ResultsError
from vidprism.report.tables.layout import heading


@dataclass(frozen=True)
class Score:
    """An accuracy in percent with its 95 % interval over videos; `guesses` (pairs only): whether the interval contains
    50 %.
    """

    top1: float
    low: float
    high: float
    n: int
    guesses: bool | None = None


@dataclass(frozen=True)
class Dataset:
    """One dataset: zero-shot accuracy against chance, its pairs of opposites together, and the classes that stills
    show.
    """

    name: str
    zero_shot: Score
    chance: float
    times_chance: float
    pairs_zero_shot: Score | None
    pairs_mean_pool: Score | None
    told_by_stills: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two opposite classes, and how well zero-shot and a probe on the mean frame distinguish them."""

    dataset: str
    classes: tuple[str, ...]
    zero_shot: Score
    mean_pool: Score


@dataclass(frozen=True)
class World:
    """All facts of a profile's generated world."""

    pretraining: tuple[tuple[str, str], ...]
    datasets: tuple[Dataset, ...]
    pairs: tuple[Pair, ...]


def world_facts_path(config: Config) -> Path:
    """The file that the world stage writes."""
    return paths.results(config, "world")


def read_world_facts(config: Config) -> World | None:
    """The facts, None if the world stage has not run.

    Raises:
        ResultsError: the file is broken or lacks a fact.
    """
    if not world_facts_path(config).is_file():
        return None
    found = results.read_json(world_facts_path(config))
    try:
        datasets = tuple(_dataset(config, name, found) for name in found["zero_shot"])
        pairs = tuple(_pair(config, pair) for pair in found["pairs"])
        plain = {name: value for name, value in found["pretraining"].items() if not isinstance(value, dict | list)}
    except (KeyError, TypeError) as error:
        raise ResultsError(f"{world_facts_path(config)} lacks {error}; delete the file and run `dvc repro`") from error
    return World(tuple((name.replace("_", " "), str(value)) for name, value in plain.items()), datasets, pairs)


def _dataset(config: Config, name: str, found: dict[str, Any]) -> Dataset:
    zero_shot, pairs = found["zero_shot"][name], found["all_pairs"].get(name) or {}
    return Dataset(
        heading(config.profile, name),
        _score(zero_shot),
        zero_shot["chance"],
        zero_shot["times_chance"],
        _score(pairs["zero_shot"]) if pairs else None,
        _score(pairs["mean_pool"]) if pairs else None,
        tuple(found["tellable_from_stills"][name]),
    )


def _pair(config: Config, pair: dict[str, Any]) -> Pair:
    scores = _score(pair["zero_shot"]), _score(pair["mean_pool"])
    return Pair(heading(config.profile, pair["dataset"]), tuple(pair["classes"]), *scores)


def _score(found: dict[str, Any]) -> Score:
    return Score(found["top1"], found["ci95_low"], found["ci95_high"], found["n"], found.get("guesses"))
