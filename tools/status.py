"""What `dvc repro` would run now, and why, in words.

    python -m tools.status

A stage is named by what it does: a row that would train again, a table that would be built again. The stages that
depend on them are counted separately, because they run only if a result changes.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from dvc.repo import Repo

# notebook of a stage -> its product: singular, plural, and what would happen to it
KINDS = {
    "generate": ("dataset", "datasets", "generated"),
    "prepare": ("dataset", "datasets", "prepared"),
    "pretrain": ("small CLIP", "small CLIPs", "trained"),
    "pretrain_video": ("small VideoMAE", "small VideoMAEs", "trained"),
    "pretrain_captions": ("small ViCLIP", "small ViCLIPs", "trained"),
    "pretrain_unlabelled": ("first stage of MAXI", "first stages of MAXI", "trained"),
    "features": ("set of features", "sets of features", "extracted"),
    "world": ("check of the generated world", "checks of the generated world", "made"),
    "search": ("learning rate", "learning rates", "searched"),
    "train": ("row", "rows", "trained"),
    "evaluate": ("group of rows", "groups of rows", "evaluated"),
    "runs": ("folder of run pages", "folders of run pages", "built"),
    "table": ("table", "tables", "built"),
    "readings": ("readings page", "readings pages", "built"),
    "index": ("index", "indexes", "built"),
}


def reasons(changes: Iterable[Any]) -> tuple[str, ...]:
    """Why a stage is out of date, from DVC's status of it, sorted: code, notebooks and parameters that changed; without
    any, the data that it reads; without those, its outputs.
    """
    edits, data, outputs = set(), set(), set()
    for change in changes:
        if isinstance(change, str):  # "changed command" and the like
            edits.add(change.removeprefix("changed "))
            continue
        for name, how in change.get("changed deps", {}).items():
            if isinstance(how, dict):
                edits.update(f"{key} in {name}" for key in how)
            else:
                (edits if name.startswith(("vidprism", "notebooks")) else data).add(name)
        outputs.update("its outputs are missing or changed" for _ in change.get("changed outs", {}))
    return tuple(sorted(edits or data or outputs))


def sentences(status: Mapping[str, Iterable[Any]], notebook_of: Mapping[str, str], after: Iterable[str]) -> list[str]:
    """The status in words.

    Args:
        status: stage -> its changes, as `dvc status --json` prints them; stages that are up to date are absent.
        notebook_of: stage -> the notebook that it runs.
        after: the stages that depend on those.
    """
    by_reason: dict[tuple[str, ...], Counter] = defaultdict(Counter)
    for stage, changes in status.items():
        by_reason[reasons(changes)][notebook_of[stage]] += 1
    if not by_reason:
        return ["Nothing would run."]
    found = []
    for why, kinds in sorted(by_reason.items(), key=lambda item: -item[1].total()):
        shown = why if len(why) <= 3 else (*why[:3], f"{len(why) - 3} more")
        cause = f", because of: {'; '.join(shown)}" if shown else ""
        found += [f"{_count(n, kind)} would be {KINDS[kind][2]} again{cause}." for kind, n in kinds.items()]
    waiting = Counter(notebook_of[stage] for stage in after if stage not in status)
    if waiting:
        listed = ", ".join(_count(n, kind) for kind, n in waiting.items())
        found.append(f"If their results change, these follow: {listed}.")
    return found


def _count(n: int, kind: str) -> str:
    one, many, _ = KINDS[kind]
    return f"{n} {one if n == 1 else many}"


def main() -> int:
    """Print the status of this checkout; 0."""
    repo = Repo()
    graph = repo.index.graph
    stages = {stage.addressing: stage for stage in repo.index.stages}
    status = repo.status()
    after: set[str] = set()
    todo = [stages[name] for name in status]
    while todo:  # an edge of DVC's graph points from a stage to its dependencies
        for stage in graph.predecessors(todo.pop()):
            if stage.addressing not in after:
                after.add(stage.addressing)
                todo.append(stage)
    notebook_of = {name: stage.cmd.split()[3] for name, stage in stages.items()}
    print("\n".join(sentences(status, notebook_of, sorted(after))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
