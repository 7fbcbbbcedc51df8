"""Video encoders in Table 2: what their pre-training is worth."""

from __future__ import annotations

from typing import Any

from vidprism.records.record import Record
from vidprism.report.tables.layout import HEADINGS

MARK = "†"


def pretraining_mark(record: Record | None) -> str:
    """A mark for a row whose encoder was not shown to be better than the same network untrained."""
    probe = _probe(record)
    return MARK if probe and not all(found["better"] for found in probe) else ""


def note(backbones: list[str], records: dict[str, Record]) -> str:
    """The finding on the first of `backbones`, in words; empty if nothing was measured on it or it was not probed."""
    of_backbone = (r for r in records.values() if backbones and (r.get("backbone") or {}).get("name") == backbones[0])
    probe = next((found for record in of_backbone if (found := _probe(record))), None)
    if not probe:
        return ""
    scores = "; ".join(
        f"{HEADINGS[f['dataset']][1]} {f['trained']:.1f} against {f['untrained']:.1f} "
        f"(difference {f['difference']:+.1f} [{f['ci95_low']:+.1f}, {f['ci95_high']:+.1f}])"
        for f in probe
    )
    worse = [HEADINGS[f["dataset"]][1] for f in probe if not f["better"]]
    verdict = (
        f"{MARK} On {', '.join(worse)} its pre-training was not shown to help by more than the interval."
        if worse
        else "Its pre-training helps by more than the interval on each of them."
    )
    return (
        f"{backbones[0]} was pre-trained by masked autoencoding on unlabelled training videos. A linear probe on the "
        f"mean of its features, against the same network untrained, on dev pools, in percent, with intervals over "
        f"{_groups(probe)}: {scores}. {verdict}"
    )


def _groups(probe: list[dict[str, Any]]) -> str:
    """The sampling units of the probe's intervals; the text says so if a result is older than groups."""
    if all("n_groups" in found for found in probe):
        return " and ".join(f"{f['n_groups']} groups ({HEADINGS[f['dataset']][1]})" for f in probe)
    return "videos, each its own group, because the result is older than groups (too narrow)"


def _probe(record: Record | None) -> list[dict[str, Any]] | None:
    return record["backbone"].get("probe") if record and "backbone" in record else None
