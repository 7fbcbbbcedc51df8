"""Run the smoke profile in this checkout, as data for opening the notebooks, without changing what git holds.

    python -m tools.smoke

All stages run. Smoke writes to separate folders that git ignores, and `reports/index.html`, which all profiles share,
keeps its bytes, because it links only the profiles that `published` of params.yaml names. The entries that DVC adds to
the dvc.lock files are removed afterwards (`tools.locks`).
"""

from __future__ import annotations

import sys

from tools import locks, with_profile

PROFILE = "smoke"
LAST = "index"  # the stage that needs every other one


def main() -> int:
    """Exit status of `dvc repro`."""
    with locks.without_entries_of(PROFILE):
        return with_profile.main(PROFILE, sys.executable, "-m", "dvc", "repro", LAST)


if __name__ == "__main__":
    sys.exit(main())
