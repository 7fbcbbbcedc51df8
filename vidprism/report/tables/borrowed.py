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


def lent(config: Config, group: str) -> list[Record]:
    """The measured records that the profile's `borrows` lends to a group; empty without it.

    Raises:
        ResultsError: a results file of the other profile that cannot be read.
    """
    if not config.profile.borrows:
        return []
    return [r for r in results.read_records(config, group, config.profile.borrows) if r["status"] == MEASURED]


def of_printed(printed: PublishedRow | None, lenders: Sequence[Record]) -> Record | None:
    """The record among `lenders` that a printed row corresponds to."""
    return next((r for r in lenders if printed and identity.is_row(printed, identity.from_record(r))), None)


def lent_entry(record: Record, column: Column) -> Entry:
    """A lent number, or the reason why there is none, without the answers that a comparison would need."""
    found = measured_entry(record, column)
    if found.status != MEASURED:
        return replace(found, reason=f"the profile {record['profile']} has this row without this cell")
    return replace(found, status=ELSEWHERE, answers=None, of_video=None)


def lent_note(lines_of: list[Record]) -> str:
    """What a reader should know about the lent rows of a block; "" if there are none."""
    if not lines_of:
        return ""
    profile, tracks = lines_of[0]["profile"], sorted({record["track"] for record in lines_of})
    return (
        f"Rows marked “{profile}” were measured in the profile {profile}, on the {' and '.join(tracks)} track and with "
        "other frames and updates. They are not comparable with the other rows: bold and letters leave them out."
    )
