"""Cells of the committed tables that changed since a git revision: ``python -m vidprism.report.compare REV [--profile
mini]``.

It compares the CSV files of the tables in the working tree with those of the revision. A change is "beyond the
interval" if the paired test over draws and groups (`vidprism.evaluation.stats.paired`) separates the answers in the two
results. Cells with other test videos, repeats or weights of the backbone cannot be paired, and the line says so.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidprism.config import Config, ConfigError, load_config, paths
from vidprism.evaluation import results
from vidprism.records import row_file
from vidprism.records.record import MEASURED, ResultsError
from vidprism.report.tables.cells import compare, measured_entry
from vidprism.report.tables.layout import Column, Entry
from vidprism.report.tables.setting import GROUP_OF_TABLE

KEY = ("table", "block", "section", "row", "column")


class RevisionError(ValueError):
    """The revision cannot be read; the message says why."""


@dataclass(frozen=True)
class CellChange:
    """One cell that differs: its name, its old and new text, and how the change compares with the interval over draws
    and groups ("" if one side is not a number).
    """

    cell: str
    old: str
    new: str
    found: str = ""


def changed_cells(config: Config, revision: str) -> list[CellChange]:
    """Cells of the profile's tables that differ from `revision`, including new and removed ones.

    Raises:
        RevisionError: not a git repository, or no such revision.
        ResultsError: a results file of either side that cannot be read.
    """
    root, folder = config.root_dir, paths.tables(config)
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise RevisionError(
            f"'{revision}' is not a revision of the repository in {root}; `git log --oneline` lists them"
        )
    commit, inside = commit.strip(), folder.resolve().relative_to(root.resolve()).as_posix()
    listed = (_git(root, "ls-tree", "--name-only", commit, f"{inside}/") or "").split()
    old = {file: _git(root, "show", f"{commit}:{file}") for file in listed if Path(file).match("table*.csv")}
    new = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("table*.csv"))}
    before, after = cells(old.values()), cells(new.values())
    was, now = _entries(config, commit), _entries(config, None)
    found = []
    for key in dict.fromkeys([*after, *before]):
        texts = _text(before.get(key)), _text(after.get(key))
        if texts[0] != texts[1]:
            sides = was(before.get(key)), now(after.get(key))
            found.append(CellChange(", ".join(filter(None, key)), *texts, _compared(*sides) if all(sides) else ""))
    return found


def _entries(config: Config, commit: str | None) -> Callable[[dict[str, str] | None], Entry | None]:
    """A function from a line of a table's CSV to its measured entry, using the results in git (without a commit: in the
    working tree). Records of a revision are not checked against the current schema.

    Raises:
        ResultsError: a results file is not valid JSON.
    """
    records: dict[tuple[str, str], Any] = {}
    for group in dict.fromkeys(GROUP_OF_TABLE.values()):
        found = _records(config, group, commit)
        records |= {(group, record["row"]): record for record in found}

    def entry(line: dict[str, str] | None) -> Entry | None:
        if line is None or not line["mean"] or line["status"] != MEASURED:
            return None
        record = records.get((GROUP_OF_TABLE[int(line["table"])], line["run"]))
        cell, metric = line["column"].rsplit("_", 1)
        dataset, shots = cell.rsplit("_", 1)
        column = Column(dataset, None if shots == "all" else int(shots[1:]), metric, "", "", "")
        found = measured_entry(record, column) if record else None
        return found if found and found.status == MEASURED else None

    return entry


def _records(config: Config, group: str, commit: str | None) -> list[Any]:
    """The measured records of a group in the working tree or in a commit, where older ones hold them in one file."""
    if commit is None:
        return [record for record in results.read_records(config, group) if record["status"] == MEASURED]
    inside = f"{commit}:{paths.results(config, group).relative_to(config.root_dir).as_posix()}"
    try:
        listed = json.loads(_git(config.root_dir, "show", inside) or '{"records": []}')["records"]
    except json.JSONDecodeError as error:
        raise ResultsError(f"{inside} is not valid JSON ({error})") from error
    folder = inside.removesuffix(".json")
    return [
        row_file.from_text(_git(config.root_dir, "show", where) or "", where) if "sha256" in entry else entry
        for entry in listed
        if (where := f"{folder}/{entry['row']}.json") and entry["status"] == MEASURED
    ]


def _compared(old: Entry, new: Entry) -> str:
    """How a change compares with the interval of the paired difference."""
    try:
        difference = compare(new, old)
    except ResultsError:
        return "not comparable: other test videos, repeats or weights of the backbone"
    beyond = difference.low > 0 or difference.high < 0
    return f"{'beyond' if beyond else 'within'} the interval [{difference.low:+.2f}, {difference.high:+.2f}]"


def cells(texts: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """The lines of table CSVs by table, block, row and column."""
    return {
        tuple(line.get(name, "") for name in KEY): line for text in texts for line in csv.DictReader(io.StringIO(text))
    }


def _text(line: dict[str, str] | None) -> str:
    if line is None:
        return "absent"
    return f"{float(line['mean']):.2f}" if line["mean"] else line["status"]


def _git(root: Path, *arguments: str) -> str | None:
    """The output of git, or None if it fails.

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
        raise RevisionError("git is not installed, but the old tables are read with it") from error
    return done.stdout if done.returncode == 0 else None


def main(arguments: list[str]) -> int:
    """Print the changed cells; exit status 1 with one clear line for an unknown revision or profile."""
    parser = argparse.ArgumentParser(
        prog="python -m vidprism.report.compare",
        description="Cells of the tables that changed since a git revision.",
    )
    parser.add_argument("revision", metavar="REV", help="a commit, tag or branch, for example HEAD~1")
    parser.add_argument("--profile", help="profile whose tables are compared; default: the one params.yaml chooses")
    chosen = parser.parse_args(arguments)
    try:
        config = load_config(chosen.profile)
        found = changed_cells(config, chosen.revision)
    except (ConfigError, RevisionError, ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for change in found:
        print(f"{change.cell}: {change.old} -> {change.new}  {change.found}".rstrip())
    print(f"{len(found)} cells of profile {config.profile.name} changed since {chosen.revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
