"""Measured methods in the order of their accuracy at the largest number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidprism.config import Config
from vidprism.report.overview.contests import Contender, Contest
from vidprism.report.tables.layout import Entry, heading


@dataclass(frozen=True)
class Standing:
    """A method on one track and one encoder: its accuracy by dataset (None where it has no such cell), and its mean
    over all datasets with half of its 95 % interval (None if it lacks a dataset or an interval).
    """

    contender: Contender
    track: str
    encoder: str
    entries: tuple[Entry | None, ...]
    mean: float | None
    half_width: float | None


@dataclass(frozen=True)
class Leaderboard:
    """Standings, the best first; `columns` are the datasets, at `shots` shots."""

    shots: int
    columns: tuple[str, ...]
    standings: tuple[Standing, ...]


def leaderboard(config: Config, contests: Sequence[Contest]) -> Leaderboard:
    """All methods with a cell at the largest number of shots of the profile's Table 2."""
    shots, datasets = max(config.profile.few_shot.shots), config.profile.few_shot.datasets
    found = [
        standing
        for contest in contests
        for contender in contest.contenders
        if any((standing := _standing(contest, contender, datasets, shots)).entries)
    ]
    found.sort(key=lambda s: -1.0 if s.mean is None else s.mean, reverse=True)
    return Leaderboard(shots, tuple(heading(config.profile, dataset) for dataset in datasets), tuple(found))


def _standing(contest: Contest, contender: Contender, datasets: Sequence[str], shots: int) -> Standing:
    here = {cell[1]: entry for cell, entry in contender.entries.items() if cell[0] == "few_shot" and cell[2] == shots}
    entries = tuple(here.get(dataset) for dataset in datasets)
    mean = half = None
    if None not in entries:
        mean = float(np.mean([e.mean for e in entries]))
        widths = [e.half_width for e in entries]
        half = None if None in widths else float(np.sqrt(np.sum(np.square(widths))) / len(widths))
    return Standing(contender, contest.track, contest.encoder, entries, mean, half)
