"""Seconds to rebuild each page from the results JSON, imports included.

Each page is rebuilt in a fresh process, as the pipeline does it, into a temporary copy of the reports.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vidprism.config import find_root, load_config

PROGRAM = """
import dataclasses, pathlib, sys
from vidprism import report
from vidprism.config import load_config
config = dataclasses.replace(load_config(), root_dir=pathlib.Path(sys.argv[1]))
getattr(report, sys.argv[2])(config, *sys.argv[3:])
assert "torch" not in sys.modules
"""


def run(root: Path | None = None) -> dict[str, str]:
    """Time every page of the chosen profile.

    Args:
        root: folder whose `reports/` holds the results; None takes the clone.
    """
    config = load_config()
    reports = (root or config.root_dir) / "reports"
    if not (reports / "results" / config.profile.name).is_dir():
        return {"not measured": "no results of this profile yet; `make reproduce` makes them"}
    calls = [("write_table", name) for name in config.profile.tables]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(reports, Path(folder) / "reports", ignore=shutil.ignore_patterns("notebooks", "timings"))
        return {" ".join(call): _time(folder, call) for call in [*calls, ("write_readings",), ("write_index",)]}


def _time(folder: str, call: tuple[str, ...]) -> str:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM, folder, *call], check=True, cwd=find_root())
    return f"{time.perf_counter() - start:.2f} s"


if __name__ == "__main__":
    for key, value in run(Path(sys.argv[1]) if len(sys.argv) > 1 else None).items():
        print(f"{key:24} {value}")
