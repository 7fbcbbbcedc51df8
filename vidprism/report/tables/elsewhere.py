"""Numbers of another profile in a table, for printed rows that the table's own profile does not measure.

They stand there for the reader. Nothing compares them with the others: their track, frames and weights may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidprism.config import Config
from vidprism.evaluation import results
from vidprism.paper import PublishedRow
from vidprism.records.record import MEASURED, Record
from vidprism.report.tables import identity
from vidprism.report.tables.cells import measured_entry
from vidprism.report.tables.layout import ELSEWHERE, Column, Entry


def measured_elsewhere(config: Config, group: str) -> list[Record]:
    """The measured records of a group in the profile that `also_show` names; empty without it.

    Raises:
        ResultsError: a results file of the other profile that cannot be read.
    """
    if not config.profile.also_show:
        return []
    return [r for r in results.read_records(config, group, config.profile.also_show) if r["status"] == MEASURED]


def of_printed(printed: PublishedRow | None, records: Sequence[Record]) -> Record | None:
    """The record that a printed row corresponds to, if there is one."""
    return next((r for r in records if printed and identity.is_row(printed, identity.from_record(r))), None)


def entry_elsewhere(record: Record, column: Column) -> Entry:
    """A number of another profile, without the answers that a comparison needs, or why there is none."""
    found = measured_entry(record, column)
    if found.status != MEASURED:
        return replace(found, reason=f"the profile {record['profile']} has this row without this cell")
    return replace(found, status=ELSEWHERE, answers=None, of_video=None)


def note_elsewhere(shown: Sequence[Record]) -> str:
    """What a reader should know about such rows of a block; "" if there are none."""
    if not shown:
        return ""
    profile, tracks = shown[0]["profile"], " and ".join(sorted({record["track"] for record in shown}))
    return (
        f"Rows marked “{profile}” were measured in the profile {profile}, on the {tracks} track and with other frames "
        "and updates. They are not comparable with the other rows: bold and letters leave them out."
    )
