"""The index of a profile as data: what was found, for a reader who has ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidprism import paper
from vidprism.config import Config
from vidprism.report import colours
from vidprism.report.overview import headline, moving
from vidprism.report.overview.contests import Contest
from vidprism.report.overview.curves import ContestPictures, contest_pictures
from vidprism.report.overview.headline import AblationEffects
from vidprism.report.overview.leaderboard import Leaderboard, leaderboard
from vidprism.report.overview.moving import MovingPicture
from vidprism.report.overview.trust import Trust, trust_inputs
from vidprism.report.tables.layout import Table


@dataclass(frozen=True)
class Found:
    """The page: the answer in a few words, the sentences behind it for each contest in which VidPrism is measured,
    pictures, ablation effects, the leaderboard, moving pictures, and what the numbers rest on.
    """

    answer: str
    contests: tuple[Contest, ...]
    sentences: tuple[tuple[str, ...], ...]
    pictures: tuple[ContestPictures, ...]
    ablations: AblationEffects
    board: Leaderboard
    moving: tuple[MovingPicture, ...]
    trust: Trust


def build_found(config: Config, contests: Sequence[Contest], trust: Trust, built: Sequence[Table]) -> Found:
    """The index of the chosen profile; `built` are its tables.

    Raises:
        ResultsError: a results file or a picture that cannot be read.
    """
    with_subject = tuple(contest for contest in contests if contest.matches)
    of_methods = colours.method_colours(config)
    sentences = ((headline.sentence(c), *headline.extremes(c)) for c in with_subject)
    return Found(
        answer=headline.short_answer(with_subject),
        contests=with_subject,
        sentences=tuple(tuple(filter(None, found)) for found in sentences),
        pictures=tuple(contest_pictures(config, contest, of_methods) for contest in with_subject),
        ablations=headline.count_ablations(config, built),
        board=leaderboard(config, contests),
        moving=moving.moving_pictures(config) if config.profile.generated else (),
        trust=trust,
    )


def found_inputs(config: Config) -> list[Path]:
    """The files that the index is made from, whether they exist or not."""
    tables = [paper.table_path(int(name.removeprefix("table"))) for name in config.profile.tables]
    return [*trust_inputs(config), *tables]
