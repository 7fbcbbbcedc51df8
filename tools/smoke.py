"""Run the smoke profile in this checkout, as data for opening the notebooks, without changing what git holds.

    python -m tools.smoke

All stages run. Smoke writes to separate folders that git ignores, and `reports/index.html`, which all profiles share,
keeps its bytes, because it links only the profiles that `published` of params.yaml names. DVC also adds its stages to
the dvc.lock files. Those entries are removed afterwards, other changes to the files stay, and another run finds the
outputs in DVC's cache. A file that then says the same as before gets its earlier text back, because DVC numbers the
anchors of the YAML again.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from tools import with_profile

PROFILE = "smoke"
PIPELINES = ("ablations", "closed_set", "few_shot")
LAST = "index"  # the stage that needs every other one
ENTRY = re.compile(rf"^  (\S+@{PROFILE}\S*):\n(?:(?:    .*|  - .*|)\n)*", re.MULTILINE)


def stages(text: str) -> set[str]:
    """The stages of the profile in the text of a dvc.lock."""
    return {match[1] for match in ENTRY.finditer(text)}


def without_new(text: str, before: set[str]) -> str:
    """The text of a dvc.lock without the profile's stages that it did not hold before."""
    return ENTRY.sub(lambda match: match[0] if match[1] in before else "", text)


def put_back(text: str, before: str) -> str:
    """The text of a dvc.lock after a run, given that `before` it: without the profile's new stages, and unchanged if
    nothing else is new.
    """
    kept = without_new(text, stages(before))
    return before if kept == before or _content(kept) == _content(before) else kept


def _content(text: str) -> object:
    return yaml.safe_load(text)


def main() -> int:
    """Exit status of `dvc repro`."""
    root = Path()
    locks = [root / "dvc.lock", *(root / "pipelines" / group / "dvc.lock" for group in PIPELINES)]
    held = {lock: lock.read_text(encoding="utf-8") for lock in locks if lock.is_file()}
    try:
        return with_profile.main(PROFILE, sys.executable, "-m", "dvc", "repro", LAST)
    finally:
        for lock, before in held.items():
            text = lock.read_text(encoding="utf-8")
            if put_back(text, before) != text:
                with_profile.write_whole(lock, put_back(text, before))


if __name__ == "__main__":
    sys.exit(main())
