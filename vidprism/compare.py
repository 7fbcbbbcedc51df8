"""Which cells of the committed tables changed since a git revision: ``python -m vidprism.compare REV
[--profile mini]``.

Compares the CSV twins of the tables in the working tree with those of the revision. A change is "beyond the
interval" when it is larger than the two half widths over repeats together (root of the sum of squares):
repeats alone would rarely do that.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidprism import paths
from vidprism.config import ConfigError, load_config

KEY = ("table", "block", "section", "row", "column")


class RevisionError(ValueError):
    """The revision cannot be read; the message says why."""


@dataclass(frozen=True)
class Change:
    """One cell that differs: its name, its old and new text, and whether the change is beyond the interval
    (None: not numbers).
    """

    cell: str
    old: str
    new: str
    beyond: bool | None


def changes(root: Path, folder: Path, revision: str) -> list[Change]:
    """Cells of the tables in `folder` (in the repository `root`) that differ from `revision`, new and
    vanished ones among them.

    Raises:
        RevisionError: not a git repository, or no such revision.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise RevisionError(
            f"'{revision}' is not a revision of the repository in {root}; `git log --oneline` lists them"
        )
    inside = folder.resolve().relative_to(root.resolve()).as_posix()
    listed = (_git(root, "ls-tree", "--name-only", commit.strip(), f"{inside}/") or "").split()
    old = {file: _git(root, "show", f"{commit.strip()}:{file}") for file in listed if Path(file).match("table*.csv")}
    new = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("table*.csv"))}
    before, after = cells(old.values()), cells(new.values())
    keys = dict.fromkeys([*after, *before])
    found = [Change(", ".join(filter(None, key)), *_texts(before.get(key), after.get(key))) for key in keys]
    return [change for change in found if change.old != change.new]


def cells(texts: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """The lines of table CSVs by table, block, row and column."""
    return {
        tuple(line.get(name, "") for name in KEY): line for text in texts for line in csv.DictReader(io.StringIO(text))
    }


def _texts(old: dict[str, str] | None, new: dict[str, str] | None) -> tuple[str, str, bool | None]:
    return _text(old), _text(new), _beyond(old, new)


def _text(line: dict[str, str] | None) -> str:
    if line is None:
        return "absent"
    half = _half_width(line)
    spread = "" if half is None else f" ±{half:.2f}"
    return f"{float(line['mean']):.2f}{spread}" if line["mean"] else line["status"]


def _half_width(line: dict[str, str]) -> float | None:
    low, high = line["ci95_repeats_low"], line["ci95_repeats_high"]
    return (float(high) - float(low)) / 2 if low and high else None


def _beyond(old: dict[str, str] | None, new: dict[str, str] | None) -> bool | None:
    """Whether two means differ by more than their intervals over repeats allow; None where one side has no
    mean or interval.
    """
    if old is None or new is None or not (old["mean"] and new["mean"]):
        return None
    halves = _half_width(old), _half_width(new)
    return None if None in halves else abs(float(new["mean"]) - float(old["mean"])) > math.hypot(*halves)


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, None if it fails.

    Raises:
        RevisionError: git is not installed.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    except FileNotFoundError as error:
        raise RevisionError("git is not installed, and the old tables are read from it") from error
    return done.stdout if done.returncode == 0 else None


def main(arguments: list[str]) -> int:
    """Print the changed cells; exit status 1 with one clear line for an unknown revision or profile."""
    parser = argparse.ArgumentParser(
        prog="python -m vidprism.compare",
        description="Cells of the tables that changed since a git revision.",
    )
    parser.add_argument("revision", metavar="REV", help="a commit, tag or branch, for example HEAD~1")
    parser.add_argument("--profile", help="profile whose tables are compared; default: the one params.yaml chooses")
    chosen = parser.parse_args(arguments)
    try:
        config = load_config(chosen.profile)
        found = changes(config.root_dir, paths.tables(config), chosen.revision)
    except (ConfigError, RevisionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    words = {True: "beyond the interval", False: "within the interval", None: ""}
    for change in found:
        print(f"{change.cell}: {change.old} -> {change.new}  {words[change.beyond]}".rstrip())
    print(f"{len(found)} cells of profile {config.profile.name} changed since {chosen.revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
