"""A table as tidy CSV: one line per row and measured column, and in Table 1 one for the cost of the printed model."""

from __future__ import annotations

import csv
import io

from vidprism.complexity.published import Check
from vidprism.records.record import MEASURED
from vidprism.report.tables import order
from vidprism.report.tables.layout import Block, Entry, Line, Table

CSV_FIELDS = (
    "table",
    "block",
    "section",
    "row",
    "run",
    "in_paper",
    "setting",
    "order_blind",
    "column",
    "status",
    "mean",
    "ci95_low",
    "ci95_high",
    "ci95_repeats_low",
    "ci95_repeats_high",
    "ci95_groups_low",
    "ci95_groups_high",
    "n_repeats",
    "n_draws",
    "n_groups",
    "n_scored",
    "n_listed",
    "within_pairs",
    "within_pairs_low",
    "within_pairs_high",
    "bold",
    "published",
    "sign_paper",
    "sign_measured",
    "difference",
    "p",
    "p_holm",
    "verdict",
    "track",
    "code_version",
)


def to_csv(table: Table) -> str:
    """The table as tidy CSV: one line per row and measured column; empty fields if there is no number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    for block in table.blocks:
        for line in block.lines:
            for column, entry, printed in zip(block.columns, line.entries, line.published, strict=False):
                numbers = {**_numbers(entry), "published": _text(printed.value), **_origin(line)}
                writer.writerow({**_place(table, block, line), "column": column.key, **numbers})
            if line.cost is not None:
                writer.writerow({**_place(table, block, line), "column": "gmacs_per_view", **_cost(line.cost)})
    return out.getvalue()


def _place(table: Table, block: Block, line: Line) -> dict[str, object]:
    return {
        "table": table.number,
        "block": block.title,
        "section": line.section,
        "row": " | ".join(line.labels),
        "run": line.run,
        "in_paper": int(not line.extra),
        "setting": line.setting,
        "order_blind": int(line.mark == order.MARK),
    }


def _cost(check: Check) -> dict[str, object]:
    """The printed model's multiply-adds as counted, beside the printed number."""
    counted = {"status": "counted"} if check.gmacs is not None else {"status": "not counted"}
    return {**counted, "mean": _text(check.gmacs), "published": _text(check.printed), "verdict": check.verdict}


def _numbers(entry: Entry) -> dict[str, object]:
    signs = (
        {}
        if entry.change is None
        else {
            "sign_paper": entry.change.paper,
            "sign_measured": entry.change.measured,
            "difference": _text(entry.change.comparison.difference),
            "p": f"{entry.change.comparison.p:.3g}",
            "p_holm": f"{entry.change.p_holm:.3g}",
            "verdict": entry.change.verdict,
        }
    )
    if entry.mean is None:
        return {"status": entry.status}
    low, high = entry.repeats or (None, None)
    within = zip(("within_pairs", "within_pairs_low", "within_pairs_high"), entry.within_pairs or (), strict=False)
    return {
        "status": entry.status,
        **{name: _text(value) for name, value in within},
        "mean": _text(entry.mean),
        "ci95_low": _text(entry.accuracy.interval[0]),
        "ci95_high": _text(entry.accuracy.interval[1]),
        "ci95_repeats_low": _text(low),
        "ci95_repeats_high": _text(high),
        "ci95_groups_low": _text(entry.groups[0]),
        "ci95_groups_high": _text(entry.groups[1]),
        "n_repeats": len(entry.seeds),
        "n_draws": entry.accuracy.n_draws,
        "n_groups": entry.accuracy.n_groups,
        "n_scored": entry.n_scored,
        "n_listed": entry.n_listed,
        "bold": int(entry.best),
        **signs,
    }


def _origin(line: Line) -> dict[str, object]:
    return (
        {"track": line.record["track"], "code_version": line.record["code"]["version"]}
        if line.status == MEASURED
        else {}
    )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
