"""Run the smoke profile in this checkout, as data for opening the notebooks, without changing what git holds.

    python -m tools.smoke

All stages of its rows and tables run, but not the index: `reports/index.html` stays that of the profile in git. Smoke
writes to separate folders that git ignores. DVC also adds its stages to the dvc.lock files. Those entries are removed
afterwards, other changes to the files stay, and another run finds the outputs in DVC's cache.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools import with_profile

PROFILE = "smoke"
PIPELINES = ("ablations", "closed_set", "few_shot")
PAGES = ("runs", "table", "readings")  # stages that together need every other stage except the index
ENTRY = re.compile(rf"^  (\S+@{PROFILE}\S*):\n(?:(?:    .*|  - .*|)\n)*", re.MULTILINE)


def stages(text: str) -> set[str]:
    """The stages of the profile in the text of a dvc.lock."""
    return {match[1] for match in ENTRY.finditer(text)}


def without_new(text: str, before: set[str]) -> str:
    """The text of a dvc.lock without the profile's stages that it did not hold before."""
    return ENTRY.sub(lambda match: match[0] if match[1] in before else "", text)


def main() -> int:
    """Exit status of `dvc repro`."""
    root = Path()
    locks = [root / "dvc.lock", *(root / "pipelines" / group / "dvc.lock" for group in PIPELINES)]
    held = {lock: stages(lock.read_text(encoding="utf-8")) for lock in locks if lock.is_file()}
    try:
        return with_profile.main(PROFILE, sys.executable, "-m", "dvc", "repro", *PAGES)
    finally:
        for lock, before in held.items():
            text = lock.read_text(encoding="utf-8")
            if without_new(text, before) != text:
                with_profile.write_whole(lock, without_new(text, before))


if __name__ == "__main__":
    sys.exit(main())
