"""What the numbers rest on, as data: test videos, searches, facts of the generated world, settings, and what is missing
and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS, Row, rows
from vidprism.evaluation import results
from vidprism.records.record import MEASURED, Cell, Record
from vidprism.report import world_facts
from vidprism.report.overview import searches
from vidprism.report.tables import identity
from vidprism.report.tables.layout import heading
from vidprism.report.tables.setting import describe_setting

TABLES_OF = {"closed_set": "Table 1", "few_shot": "Table 2", "ablations": "Tables 3 to 5 and the readings"}
TITLES = {"closed_set": "Training lists without the dev pool", "few_shot": "Few shots", "ablations": "Ablations"}


@dataclass(frozen=True)
class Group:
    """One group of rows: its setting, how many of its rows and cells are measured, its run pages as (path below
    `reports/`, name), and the missing rows as (key, name, reason).
    """

    title: str
    tables: str
    setting: tuple[tuple[str, str], ...]
    n_measured: int
    n_rows: int
    n_cells: int
    runs: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str, str], ...]


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
class Trust:
    """What the numbers rest on. `code`: version control's base commits, and whether some code was not committed (None
    if unknown). `not_flat`: rows whose loss was still falling, as (key, name, share of repeats).
    """

    groups: tuple[Group, ...]
    accounts: tuple[Account, ...]
    searches: tuple[searches.Search, ...]
    world: world_facts.World | None
    not_flat: tuple[tuple[str, str, str], ...]
    commits: tuple[str, ...]
    dirty: bool | None
    splits: tuple[str, ...]

    @property
    def n_cells(self) -> int:
        """Measured cells of all groups."""
        return sum(group.n_cells for group in self.groups)

    @property
    def n_listed(self) -> int:
        """Test videos that the lists of all measured datasets name."""
        return sum(account.n_listed for account in self.accounts)

    @property
    def n_unreadable(self) -> int:
        """Test videos that were listed and could not be scored."""
        return self.n_listed - sum(account.n_scored for account in self.accounts)

    @property
    def at_edge(self) -> tuple[str, ...]:
        """The methods whose best learning rate or penalty is the lowest or the highest that was tried."""
        return tuple(search.method for search in self.searches if search.at_edge)

    @property
    def few_draws(self) -> str:
        """A warning if a search of trained models used fewer draws than three."""
        draws = [search.n_draws for search in self.searches if search.space != "prompt_set"]
        fewest = min(draws, default=searches.LEAST_DRAWS)
        if fewest >= searches.LEAST_DRAWS:
            return ""
        return f"Searched over {fewest} of {searches.LEAST_DRAWS} draws (search.draws): too few to trust a choice."


def trust_inputs(config: Config) -> list[Path]:
    """The files that the overview is made from, whether they exist or not."""
    return (
        [paths.results(config, name) for name in (*GROUPS, "pictures")]
        + [paths.search(config, *which) for which in searches.searched(config)]
        + [world_facts.world_facts_path(config)]
    )


def build_trust(config: Config) -> Trust:
    """What the numbers of the chosen profile rest on.

    Raises:
        ResultsError: a results or search file that cannot be read.
    """
    records = {group: results.load_results(config, group) for group in GROUPS}
    measured = [r for found in records.values() for r in found.values() if r["status"] == MEASURED]
    dirty = {record["code"].get("dirty") for record in measured}
    return Trust(
        groups=tuple(_group(config, group, found) for group, found in records.items() if found),
        accounts=tuple(_accounts(config, measured)),
        searches=searches.read_searches(config),
        world=world_facts.read_world_facts(config),
        not_flat=tuple(_not_flat(config, records)),
        commits=tuple(dict.fromkeys(str(record["code"].get("base_commit")) for record in measured)),
        dirty=True if True in dirty else None if None in dirty or not dirty else False,
        splits=tuple(dict.fromkeys(str(r["search"]["split"]) for r in measured if r["search"])),
    )


def _group(config: Config, group: str, found: dict[str, Record]) -> Group:
    expected = rows(config, group)
    done = [record for record in found.values() if record["status"] == MEASURED]
    folder = paths.run_pages(config, group).relative_to(config.root_dir / "reports").as_posix()
    return Group(
        TITLES[group],
        TABLES_OF[group],
        describe_setting(config, [row for row in expected.values() if row.track == config.profile.protocol.track]),
        len(done),
        len(found),
        sum(len(record["cells"]) for record in done),
        tuple((f"{folder}/{r['row']}.html", _name(config, expected[r["row"]], r)) for r in done),
        tuple(
            (key, _name(config, expected[key], record), record.get("reason", ""))
            for key, record in found.items()
            if record["status"] != MEASURED
        ),
    )


def _name(config: Config, row: Row, record: Record) -> str:
    """A row in words: what it trained, on which encoder, and on how many frames."""
    trained = identity.of(config, row, record)
    if row.group == "ablations":
        return identity.name(trained)
    return f"{identity.title(trained)} ({row.backbone}, {row.frames} frames)"


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


def _not_flat(config: Config, records: dict[str, dict[str, Record]]) -> Iterable[tuple[str, str, str]]:
    """Rows with repeats whose loss was still falling when training ended."""
    for group, found in records.items():
        expected = rows(config, group)
        for key, record in found.items():
            flags = [repeat.get("loss_flat") for cell in record["cells"] for repeat in cell["repeats"]]
            if False in flags:
                name = _name(config, expected[key], record)
                yield f"{group}: {key}", name, f"{flags.count(False)} of {len(flags)} repeats"
