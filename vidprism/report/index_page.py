"""The overview as data: what was measured on which data, the searches, the facts of the generated world, and what is
missing and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidprism import paper
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS, rows
from vidprism.evaluation import results
from vidprism.records.record import MEASURED, Cell, Record
from vidprism.report import world_facts
from vidprism.report.tables.layout import heading
from vidprism.report.tables.setting import describe_setting

TABLES_OF = {"closed_set": "Table 1", "few_shot": "Table 2", "ablations": "Tables 3 to 5 and the readings"}
TITLES = {"closed_set": "Training lists without the dev pool", "few_shot": "Few shots", "ablations": "Ablations"}


@dataclass(frozen=True)
class Group:
    """One group of rows: its setting, how many of its rows and cells are measured, the measured and the missing rows,
    and the folder of its run pages.
    """

    title: str
    tables: str
    setting: tuple[tuple[str, str], ...]
    measured: tuple[str, ...]
    n_rows: int
    n_cells: int
    missing: tuple[tuple[str, str], ...]
    pages: str


LEAST_DRAWS = 3  # draws that a search should use, see docs/protocol.md

# Oddities of the lists and of the copy of a dataset (`checks` of a cell), in words.
ODDITIES = {
    "copy": "a known copy by its counts: {}",
    "unlisted_files": "video files that no list names: {}",
    "repeated_lines": "videos listed more than once: {}",
    "conflicting_labels": "videos with two labels: {}",
    "train_test_overlap": "videos listed for training and test (same name or same file), used only for the test: {}",
    "same_file": "files that are listed as several videos, through links: {}",
    "path_class_differs": "videos in the folder of another class than their label says: {}",
    "dev_shares_groups": "classes with groups in both the dev pool and the training list: {}",
    "readers": "videos by the way they are read: {}",
}


@dataclass(frozen=True)
class Account:
    """The test list of one dataset: listed, scored and unreadable videos with reasons, classes, fingerprints of the
    data measured on, and oddities of its lists and of this copy, in words.
    """

    name: str
    n_listed: int
    n_scored: int
    n_classes: int
    fingerprints: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    oddities: tuple[str, ...]


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

    `widened`: the values that were added to the list. `at_edge`: the chosen learning rate is still the lowest or
    highest tried, so that a better one may lie outside. `reason`: why no trial has a score, "" if they have.
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


@dataclass(frozen=True)
class Index:
    """The overview page."""

    links: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    accounts: tuple[Account, ...]
    searches: tuple[Search, ...]
    world: world_facts.World | None
    not_flat: tuple[tuple[str, str], ...]

    @property
    def n_trials(self) -> int:
        """The largest number of trials of any method."""
        return max((len(search.trials) for search in self.searches), default=1)

    @property
    def few_draws(self) -> str:
        """A warning if a search of learning rates trained fewer draws than three."""
        fewest = min((search.n_draws for search in self.searches if search.space == "lr"), default=LEAST_DRAWS)
        if fewest >= LEAST_DRAWS:
            return ""
        return f"Searched over {fewest} of {LEAST_DRAWS} draws (search.draws): too few to trust a choice of rate."


def inputs(config: Config) -> list[Path]:
    """The files that the overview is made from, whether they exist or not."""
    return (
        [paths.results(config, group) for group in GROUPS]
        + [paths.search(config, *which) for which in _searched(config)]
        + [world_facts.world_facts_path(config)]
    )


def build_index(config: Config) -> Index:
    """The overview of the chosen profile.

    Raises:
        ResultsError: a results or search file that cannot be read.
    """
    records = {group: results.load_results(config, group) for group in GROUPS}
    numbers = [int(name.removeprefix("table")) for name in config.profile.tables]
    return Index(
        links=tuple((f"table{n}.html", f"Table {n}: {paper.TITLES[n]}") for n in numbers),
        groups=tuple(_group(config, group, found) for group, found in records.items() if found),
        accounts=tuple(_accounts(config, [r for found in records.values() for r in found.values()])),
        searches=tuple(search for which in _searched(config) if (search := _search(config, *which)) is not None),
        world=world_facts.read_world_facts(config),
        not_flat=tuple(_not_flat(records)),
    )


def _group(config: Config, group: str, found: dict[str, Record]) -> Group:
    done = [record for record in found.values() if record["status"] == MEASURED]
    missing = tuple((key, record.get("reason", "")) for key, record in found.items() if record["status"] != MEASURED)
    chosen = [row for row in rows(config, group).values() if row.track == config.profile.protocol.track]
    return Group(
        TITLES[group],
        TABLES_OF[group],
        describe_setting(config, chosen),
        tuple(record["row"] for record in done),
        len(found),
        sum(len(r["cells"]) for r in done),
        missing,
        paths.run_pages(config, group).relative_to(config.root_dir / "reports").as_posix(),
    )


def _accounts(config: Config, records: list[Record]) -> Iterable[Account]:
    by_dataset: dict[str, list[Cell]] = {}
    for cell in (cell for record in records for cell in record["cells"]):
        by_dataset.setdefault(cell["dataset"], []).append(cell)
    for dataset in sorted(by_dataset):
        cells = by_dataset[dataset]
        broken = {item["path"]: item["reason"] for cell in cells for item in cell["unreadable"]}
        prints = tuple(dict.fromkeys(str(cell["data_fingerprint"]) for cell in cells))
        first, odd = cells[0], cells[0].get("checks", {})
        yield Account(
            heading(config.profile, dataset),
            first["n_listed"],
            first["n_scored"],
            first["n_classes"],
            prints,
            tuple(broken.items()),
            tuple(words.format(_counts(odd[key])) for key, words in ODDITIES.items() if key in odd),
        )


def _counts(found: object) -> object:
    """Counts by name in words; anything else unchanged."""
    return ", ".join(f"{name} {n}" for name, n in found.items()) if isinstance(found, dict) else found


def _searched(config: Config) -> list[tuple[str, str, str]]:
    """The searches of the profile: method, backbone and track."""
    p = config.profile
    shared = [(method, p.few_shot.backbone) for group in p.search.methods.values() for method in group]
    video = [(method, backbone) for backbone in p.few_shot.video.run for method in p.few_shot.video.methods]
    tuned = [(method, p.few_shot.backbone) for method in (*p.few_shot.tuned_controls, *p.few_shot.tuned_vidprism)]
    own: str = p.protocol.track
    return [(*pair, own) for pair in shared + video] + [(*pair, "tuned") for pair in tuned]


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


def _not_flat(records: dict[str, dict[str, Record]]) -> Iterable[tuple[str, str]]:
    """Rows with repeats whose loss was still falling when training ended."""
    for group, found in records.items():
        for key, record in found.items():
            flags = [repeat.get("loss_flat") for cell in record["cells"] for repeat in cell["repeats"]]
            if False in flags:
                yield f"{group}: {key}", f"{flags.count(False)} of {len(flags)} repeats"
