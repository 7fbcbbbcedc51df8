"""The searches of a profile as data: what each tried on the dev pool, and what it chose."""

from __future__ import annotations

from dataclasses import dataclass

from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.records.record import SPACES

LEAST_DRAWS = 3  # draws that a search should use, see docs/protocol.md


@dataclass(frozen=True)
class Trial:
    """One value of a search: dev top-1 in percent (None if training diverged), its standard error in points (None if
    unknown), whether it was chosen, and whether it cannot be distinguished from the chosen one.
    """

    value: str
    top1: float | None
    error: float | None
    chosen: bool
    close: bool


@dataclass(frozen=True)
class Search:
    """One method's search: what was searched on which track, over how many draws and dev groups, and its trials.

    `widened`: the values that were added to the list. `at_edge`: the chosen learning rate or penalty is still the
    lowest or highest tried, so that a better one may lie outside. `reason`: why no trial has a score, "" if they have.
    """

    method: str
    space: str
    track: str
    n_draws: int
    n_groups: int
    trials: tuple[Trial, ...]
    widened: tuple[str, ...]
    at_edge: bool
    reason: str = ""

    @property
    def what(self) -> str:
        """What was searched, in words."""
        return SPACES.get(self.space, self.space)


def searched(config: Config) -> list[tuple[str, str, str]]:
    """The searches of the profile: method, backbone and track."""
    p = config.profile
    shared = [(method, p.few_shot.backbone) for group in p.search.methods.values() for method in group]
    shared += [(row.method, row.backbone) for row in p.few_shot.single]
    video = [(method, backbone) for backbone in p.few_shot.video.run for method in p.few_shot.video.methods]
    tuned = [(method, p.few_shot.backbone) for method in (*p.few_shot.tuned_controls, *p.few_shot.tuned_vidprism)]
    own: str = p.protocol.track
    return [(*pair, own) for pair in shared + video] + [(*pair, "tuned") for pair in tuned]


def read_searches(config: Config) -> tuple[Search, ...]:
    """The searches that have run.

    Raises:
        ResultsError: a file that cannot be read, or that an earlier version wrote.
    """
    return tuple(search for which in searched(config) if (search := _search(config, *which)) is not None)


def _search(config: Config, method: str, backbone: str, track: str) -> Search | None:
    path = paths.search(config, method, backbone, track)
    if not path.is_file():
        return None
    found = results.read_json(path)
    lost = [key for key in ("error", "not_separable", "widened", "at_edge", "draws", "groups") if key not in found]
    if lost:
        raise results.ResultsError(f"{path} was written by an earlier version and has no '{lost[0]}'; run dvc repro")
    close = list(map(str, found["not_separable"]))
    trials = tuple(
        Trial(value, top1, found["error"][value], str(found["chosen"]) == value, value in close)
        for value, top1 in found["trials"].items()
    )
    facts = found["track"], found["draws"], sum(found["groups"].values()), trials, tuple(map(str, found["widened"]))
    return Search(path.stem, found["space"], *facts, found["at_edge"], found.get("reason", ""))
