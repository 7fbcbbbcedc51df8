"""Time of the pipeline in this checkout: an unchanged run now, and the stages as they last ran."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run() -> dict[str, str]:
    """Seconds of `dvc repro --dry` now; stages, wall seconds and peak memory recorded by each profile's last runs."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--dry"], cwd=ROOT, check=True, capture_output=True)
    found = {"dvc repro --dry": f"{time.perf_counter() - start:.1f} s"}
    for folder in sorted((ROOT / "reports" / "timings").glob("*/")):
        records = {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in sorted(folder.glob("*.json"))}
        total, peak = (
            sum(r["seconds"] for r in records.values()),
            max(r["peak_mib"] for r in records.values()),
        )
        found[f"{folder.name}: stages last run, total, peak memory"] = f"{len(records)}, {total:.0f} s, {peak} MiB"
        slowest = sorted(records.items(), key=lambda item: -item[1]["seconds"])[:5]
        found[f"{folder.name}: slowest"] = ", ".join(f"{name} {r['seconds']:.0f} s" for name, r in slowest)
    return found
