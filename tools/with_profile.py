"""Run a command with another profile chosen in params.yaml, then put the line back.

python -m tools.with_profile smoke dvc repro
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LINE = re.compile(r"^profile: \*\w+$", re.MULTILINE)


def choose(text: str, profile: str) -> str:
    """The text of params.yaml with `profile` chosen.

    Raises:
        SystemExit: there is not exactly one line that chooses a profile.
    """
    if len(LINE.findall(text)) != 1:
        raise SystemExit("params.yaml must have exactly one line like `profile: *mini`")
    return LINE.sub(f"profile: *{profile}", text)


def main(profile: str, *command: str) -> int:
    """Exit status of the command."""
    path = Path("params.yaml")
    before = path.read_text(encoding="utf-8")
    path.write_text(choose(before, profile), encoding="utf-8")
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        path.write_text(before, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
