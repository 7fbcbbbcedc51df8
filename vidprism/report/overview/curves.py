"""The pictures of a contest: forest plots of VidPrism against each other method, and accuracy against shots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidprism.config import Config
from vidprism.report import charts
from vidprism.report.overview.contests import Contender, Contest, Match
from vidprism.report.panels import anchor
from vidprism.report.tables.layout import heading

AT_ONCE = 8  # series of a plot
WIDTH, LABELS = 330, 114  # of a forest plot and of its labels: legible on a narrow screen


@dataclass(frozen=True)
class ContestPictures:
    """Forest plots; and plots over shots, one for each dataset, in groups of at most `AT_ONCE` methods with the series
    of the group. VidPrism is in every group.
    """

    contest: Contest
    forests: tuple[charts.Forest, ...]
    plots: tuple[tuple[tuple[charts.Series, ...], tuple[charts.Plot, ...]], ...]

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return anchor(self.contest.encoder, self.contest.track)


def contest_pictures(config: Config, contest: Contest, colours: dict[str, str]) -> ContestPictures:
    """The pictures of a contest; a contest of a single number of shots has no plots over shots."""
    every = [effect for match in contest.matches for effect in match.effects]
    forests = tuple(
        charts.forest(_title(match), match.effects, labels=LABELS, shared=every, width=WIDTH)
        for match in contest.matches
    )
    return ContestPictures(contest, forests, tuple(_plots(config, contest, colours)))


def shots_of(contenders: Sequence[Contender]) -> dict[str, list[int]]:
    """The numbers of shots that were measured, by dataset."""
    found: dict[str, set[int]] = {}
    for contender in contenders:
        for _, dataset, shots, _ in contender.entries:
            if shots is not None:
                found.setdefault(dataset, set()).add(shots)
    return {dataset: sorted(shots) for dataset, shots in found.items()}


def _title(match: Match) -> str:
    return f"{match.subject.label} minus {match.opponent.label}"


def _plots(
    config: Config, contest: Contest, colours: dict[str, str]
) -> Iterator[tuple[tuple[charts.Series, ...], tuple[charts.Plot, ...]]]:
    shots = {dataset: found for dataset, found in shots_of(contest.contenders).items() if len(found) > 1}
    subjects = [c for c in contest.contenders if c.is_subject]
    others = [c for c in contest.contenders if not c.is_subject]
    step = AT_ONCE - len(subjects)
    for i in range(0, len(others) or 1, step):
        chosen = [*subjects, *others[i : i + step]]
        drawn = {dataset: _series(chosen, dataset, colours) for dataset in shots}
        plots = tuple(
            charts.plot(
                heading(config.profile, dataset),
                series[::-1],  # VidPrism is drawn last, on top
                "training videos for each class (K)",
                "top-1 (%)",
                x_log=True,
                x_values=shots[dataset],
                from_zero=True,
            )
            for dataset, series in drawn.items()
            if any(s.points for s in series)
        )
        if plots:
            yield max(drawn.values(), key=len), plots


def _series(contenders: Sequence[Contender], dataset: str, colours: dict[str, str]) -> tuple[charts.Series, ...]:
    return tuple(
        charts.Series(c.label, colours[c.method], points) for c in contenders if (points := tuple(_points(c, dataset)))
    )


def _points(contender: Contender, dataset: str) -> Iterator[charts.Point]:
    found = {shots: e for (_, name, shots, _), e in contender.entries.items() if name == dataset and shots is not None}
    for shots in sorted(found):
        low, high = found[shots].accuracy.interval
        yield charts.Point(shots, found[shots].mean, low, high, f"K={shots}")
