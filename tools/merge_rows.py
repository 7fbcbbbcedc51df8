"""Check the results of rows that were measured elsewhere, and list them beside those of this clone.

    python -m tools.merge_rows full                     # the files that were copied below reports/results/full/
    python -m tools.merge_rows full ~/st_adapter.json   # copies this one to its place first

A file is refused if it is not what this clone would have written: another schema, another setting than params.yaml
asks for, other test videos, other weights of the backbone, code with uncommitted changes or from a commit that this
repository does not have, or an accuracy that its own answers do not give. All findings are printed, and nothing is
written unless all files pass. `python -m vidprism.execute table profile=full table=table2` then draws a table.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidprism.config import Config, ConfigError, load_config, paths
from vidprism.config.rows import GROUPS, Row, row, rows
from vidprism.evaluation import results
from vidprism.evaluation.up_to_date import changes_since
from vidprism.records.record import MEASURED, Cell, Record, ResultsError, cell_key

CLOSE = 1e-3  # percentage points; the files hold four decimals


def problems(config: Config, found: Record, others: list[Record]) -> Iterator[str]:
    """What speaks against a record, in words. `others` are the measured records of its profile.

    Raises:
        ConfigError: the profile has no such row.
    """
    expected = row(config, found["group"], found["row"])
    if found["profile"] != config.profile.name:
        yield f"it was measured in the profile {found['profile']}, not in {config.profile.name}"
    changed = changes_since(expected, config.profile.backbones.get(expected.backbone), found, None)
    if changed:
        yield f"params.yaml asks for something else: {', '.join(changed)}"
    if [(cell["dataset"], cell["shots"]) for cell in found["cells"]] != expected.cells:
        yield f"its cells are not those of params.yaml: {', '.join(cell_key(*place) for place in expected.cells)}"
    yield from _code(config, found)
    yield from _unlike(found, [other for other in others if other["backbone"]["name"] == found["backbone"]["name"]])
    for cell in found["cells"]:
        yield from _arithmetic(cell)


def _code(config: Config, found: Record) -> Iterator[str]:
    """The code must be a commit of this repository without changes, so that anyone can look at it and run it again."""
    commit = found["code"].get("base_commit")
    known = ("git", "-C", str(config.root_dir), "cat-file", "-e", f"{commit}^{{commit}}")
    if not commit or found["code"].get("dirty"):
        yield "its code was not that of a commit: commit first, then measure"
    elif subprocess.run(known, capture_output=True, check=False).returncode:
        yield f"its code is that of the commit {commit}, which this repository does not have: fetch it first"


def _unlike(found: Record, others: list[Record]) -> Iterator[str]:
    """Rows of one table share the weights of their backbone and, in a cell, the test videos."""
    for other in others:
        ours, theirs = (record["backbone"].get("weights_sha256") for record in (other, found))
        if ours != theirs:
            yield f"its backbone has the weights {theirs}, that of the row {other['row']} has {ours}"
            return
    for cell in found["cells"]:
        twins = (results.find_cell(other, cell["dataset"], cell["shots"]) for other in others)
        prints = {twin["data_fingerprint"] for twin in twins if twin and twin["frames"] == cell["frames"]}
        if prints and cell["data_fingerprint"] not in prints:
            yield f"{cell_key(cell['dataset'], cell['shots'])}: its data differ from those of the other rows"


def _arithmetic(cell: Cell) -> Iterator[str]:
    """The accuracies that the answers give."""
    at = cell_key(cell["dataset"], cell["shots"])
    for metric in ("top1", "top5"):
        key: results.Answers = "correct" if metric == "top1" else "correct5"
        again = results.estimate([repeat[key] for repeat in cell["repeats"]], cell.get("groups"))
        said = cell[metric]
        if abs(again["mean"] - said["mean"]) > CLOSE or not np.allclose(again["ci95"], said["ci95"], atol=CLOSE):
            yield f"{at}: its answers give a {metric} of {again['mean']:.2f} %, the file says {said['mean']:.2f} %"
        for repeat in cell["repeats"]:
            right = 100 * repeat[key].count("1") / max(1, len(repeat[key]) - repeat[key].count("-"))
            if abs(right - repeat[metric]) > CLOSE:
                yield f"{at}, seed {repeat['seed']}: its answers give {right:.2f} %, not {repeat[metric]:.2f} %"


def merge(config: Config, files: list[Path]) -> list[str]:
    """Copy the files to their places, check every row of the profile that has one, and write the groups' lists.

    Returns:
        What speaks against the files; nothing was written if there is anything.

    Raises:
        ConfigError: a file is that of a row that the profile does not have.
        ResultsError: a file is damaged.
    """
    new = {(record["group"], record["row"]): record for record in map(results.read_row, files)}
    for group, key in new:
        row(config, group, key)  # fails for an unknown one
    by_group = {group: _records(config, list(rows(config, group).values()), new) for group in GROUPS}
    measured = [record for records in by_group.values() for record in records if record["status"] == MEASURED]
    found = [
        f"{record['group']}/{record['row']}: {problem}"
        for record in measured
        for problem in problems(config, record, [other for other in measured if other is not record])
    ]
    if not found:
        for group, records in by_group.items():
            if any(record["status"] == MEASURED for record in records):
                results.write_results(config, group, records)
    return found


def _records(config: Config, expected: list[Row], new: dict[tuple[str, str], Record]) -> list[Record]:
    found = []
    for one in expected:
        file = paths.row_results(config, one.group, one.key)
        if (one.group, one.key) in new:
            found.append(new[one.group, one.key])
        else:
            found.append(results.read_row(file) if file.is_file() else results.not_run(one, "no result yet"))
    return found


def main(arguments: list[str]) -> int:
    """Exit status: 1 if a file was refused, 2 for a wrong call."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        config = load_config(arguments[0])
        found = merge(config, [Path(name).expanduser() for name in arguments[1:]])
    except (ConfigError, ResultsError) as error:
        found = [str(error)]
    for problem in found:
        print(f"refused: {problem}", file=sys.stderr)
    if not found:
        listed = {group: sum(r["status"] == MEASURED for r in results.read_records(config, group)) for group in GROUPS}
        print(f"{config.profile.name}: measured rows: {', '.join(f'{n} of {group}' for group, n in listed.items())}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
