"""What may be wrong with the numbers of a profile, in words that follow from its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vidprism.config import Profile
from vidprism.records.record import MEASURED
from vidprism.report.overview.contests import Contest
from vidprism.report.overview.trust import Trust
from vidprism.report.tables import families, video_encoders
from vidprism.report.tables.layout import Line

FEW_GROUPS = 30  # fewer groups of test videos than this are called few


def limits(
    profile: Profile, trust: Trust, contests: Sequence[Contest], lines: Sequence[Line]
) -> tuple[tuple[str, str], ...]:
    """Reasons to doubt the numbers, as (name, what it means here). `lines` are those of Table 2."""
    return (*_data(profile, contests), *_tests(contests), *_training(trust), *_encoders(lines), *_files(trust))


def _data(profile: Profile, contests: Sequence[Contest]) -> Iterator[tuple[str, str]]:
    if profile.generated:
        yield (
            "Generated data",
            (
                "The videos are drawn and small, and so is the encoder. They show what they were built to show. No "
                "accuracy here says what a method reaches on real videos; only differences between methods can be read."
            ),
        )
    entries = [entry for contest in contests for c in contest.contenders for entry in c.entries.values()]
    if entries:
        groups = [entry.accuracy.n_groups for entry in entries]
        few = min(groups)
        yield (
            "Test videos",
            (
                f"Each accuracy rests on {min(e.n_scored for e in entries)} to {max(e.n_scored for e in entries)} test "
                f"videos in {few} to {max(groups)} groups. Groups, not videos, count as independent"
                f"{': ' + str(few) + ' are few' if few < FEW_GROUPS else ''}."
            ),
        )


def _tests(contests: Sequence[Contest]) -> Iterator[tuple[str, str]]:
    smallest = [x for contest in contests for match in contest.matches for x in match.family.smallest]
    if smallest:
        yield (
            "Wide tests",
            (
                f"A difference must be large to be seen: the comparisons on the first page need "
                f"{np.median(smallest):.1f} points in the median, {min(smallest):.1f} to {max(smallest):.1f}. “Same” "
                "means that the data cannot tell, not that two methods are equal."
            ),
        )
        yield (
            "False verdicts",
            (
                f"Each family of comparisons holds a false verdict with a probability of at most {families.ALPHA:.0%}; "
                "there are several families, and the tables have their own."
            ),
        )


def _training(trust: Trust) -> Iterator[tuple[str, str]]:
    if trust.searches:
        edge, n = len(trust.at_edge), len(trust.searches)
        close = sum(any(trial.close for trial in search.trials) for search in trust.searches)
        yield (
            "Choice of the learning rate or penalty",
            (
                f"{edge} of {n} searches end at the edge of the values that were tried. In {close} of {n}, other "
                "values cannot be told from the chosen one, so that the choice among them is chance."
            ),
        )
    if trust.not_flat:
        yield (
            "Short training",
            (
                f"The loss of some repeats of {len(trust.not_flat)} rows was still falling at the end: longer training "
                "could change their order."
            ),
        )


def _encoders(lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    marked = [line for line in lines if line.mark == video_encoders.MARK and line.status == MEASURED]
    if marked:
        yield (
            "Pre-training of the video encoder",
            (
                f"{len(marked)} rows of Table 2 are marked {video_encoders.MARK}: their encoder was not shown to be "
                "better than the same network untrained on every dataset that was probed."
            ),
        )


def _files(trust: Trust) -> Iterator[tuple[str, str]]:
    if trust.n_unreadable:
        yield ("Unreadable videos", f"{trust.n_unreadable} listed test videos could not be read and are not scored.")
    if trust.dirty:
        yield ("Uncommitted code", "Some rows were measured with code that was not committed.")
    if trust.dirty is None and trust.n_cells:
        yield ("Unknown code", "Some rows do not say whether their code was committed.")
    if len(trust.commits) > 1:
        yield ("Several versions of the code", f"The rows were measured at {len(trust.commits)} commits.")
