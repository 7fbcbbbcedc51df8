"""The page of all profiles as data. It reads only which results exist, so that every profile writes the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from vidprism.config import Config
from vidprism.config.rows import GROUPS
from vidprism.evaluation import results
from vidprism.records.record import MEASURED, Record
from vidprism.report.tables.layout import HEADINGS


@dataclass(frozen=True)
class ProfileCard:
    """A profile with results: its measured rows and cells, whether its data are generated, and its datasets."""

    name: str
    n_rows: int
    n_cells: int
    generated: bool
    datasets: tuple[str, ...]


def published_profiles(config: Config) -> tuple[ProfileCard, ...]:
    """The profiles that `published` of params.yaml names and that have measured rows.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    return tuple(_card(name, records) for name in config.published if (records := _measured(config, name)))


def _measured(config: Config, name: str) -> list[Record]:
    found = (record for group in GROUPS for record in results.read_records(config, group, name))
    return [record for record in found if record["status"] == MEASURED]


def _card(name: str, records: list[Record]) -> ProfileCard:
    cells = [cell for record in records for cell in record["cells"]]
    generated = any(record["generated"] for record in records)
    datasets = sorted({cell["dataset"] for cell in cells})
    shown = tuple(HEADINGS.get(dataset, (dataset, f"mini-{dataset}"))[generated] for dataset in datasets)
    return ProfileCard(name, len(records), len(cells), generated, shown)
