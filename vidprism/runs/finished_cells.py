"""Finished cells of a row on disk: a row that fails keeps its work, and no trained model stays in memory.

A cell lies in ``data/work/<profile>/<group>/<row>/<cell>-<hash>/`` with its weights, scores and part of the record,
completely or not at all. The hash covers everything that determines the cell. When the row is complete, its output is
assembled from the cells, and the row's folder is deleted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from vidprism.config import Config, paths
from vidprism.config.rows import Row
from vidprism.records.scores import CellScores, load_scores, save_scores
from vidprism.runtime import processes, provenance
from vidprism.runtime.files import whole_folder, writing
from vidprism.training.inputs import Inputs
from vidprism.training.job import Job

WEIGHTS_OF_CELL, SCORES, FACTS = "weights.safetensors", "scores.npz", "cell.json"
WEIGHTS = "weights"  # folder in the output of a row


@dataclass(frozen=True)
class Stored:
    """A finished cell: its key, its folder, and its facts."""

    key: str
    folder: Path
    facts: dict[str, Any]

    def scores(self) -> CellScores:
        """The scores of the cell."""
        return load_scores(self.folder / SCORES, self.key)


def place(config: Config, row: Row, choice: dict[str, Any], key: str, job: Job, inputs: Inputs) -> Path:
    """The folder of one cell, named by everything that determines its result: the row, the result of the search, and
    `_digest`.
    """
    digest = _digest(config, job, inputs, row=dataclasses.asdict(row), choice=choice)
    return paths.work(config, row.group, row.key) / f"{key}-{digest}"


def place_of_trial(folder: Path, config: Config, key: str, job: Job, inputs: Inputs) -> Path:
    """The folder of one trial of a search below `folder`, named by everything that determines its score."""
    return folder / f"{key}-{_digest(config, job, inputs, search=[job.method, job.seeds, job.split])}"


def _digest(config: Config, job: Job, inputs: Inputs, **more: Any) -> str:
    """A hash of `more` and of everything else that determines a result: settings, data, backbone, code of the package,
    libraries, processor and number of processes.
    """
    profile = config.profile
    train = dataclasses.asdict(profile.train)
    environment = provenance.environment("cuda" if torch.cuda.is_available() else "cpu", 1, processes.world_size())
    for unimportant in (train.pop, environment.pop):
        for name in ("threads", "workers", "devices", "nodes", "timeout_sec", "save_every", "log_every"):
            unimportant(name, None)
    decisive = {
        **more,
        "job": [job.options, dataclasses.asdict(job.recipe), job.prompt_set],
        "clips": [hashlib.sha256(chosen.positions.tobytes()).hexdigest() for chosen in job.training],
        "protocol": dataclasses.asdict(profile.protocol),
        "train": train,
        "backbone": inputs.backbone,
        "data": inputs.fingerprint,
        "descriptions": job.descriptions(inputs),
        "start": job.start.sha256 if job.start else "",
        "code": provenance.package_version(),
        "environment": environment,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def states(folder: Path) -> Path:
    """The folder with the saved states of an unfinished cell's repeats (`vidprism.finetuning.checkpoint`)."""
    return folder.with_name(f"{folder.name}.states")


def write_cell(folder: Path, key: str, weights: dict[str, Tensor], scores: CellScores, facts: dict[str, Any]) -> None:
    """Write a finished cell into its folder, and delete the states of its training.

    Raises:
        NotWritable: a full disk, a folder without write permission.
    """
    with _finished(folder, facts) as partial:
        save_file(weights, partial / WEIGHTS_OF_CELL)
        save_scores(partial / SCORES, {key: scores})


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write only facts: a finished trial of a search."""
    with _finished(folder, facts):
        pass


@contextmanager
def _finished(folder: Path, facts: dict[str, Any]) -> Iterator[Path]:
    with writing(folder), whole_folder(folder) as partial:
        yield partial
        (partial / FACTS).write_text(json.dumps(facts, allow_nan=False), encoding="utf-8")
    shutil.rmtree(states(folder), ignore_errors=True)


def read_cell(folder: Path, key: str) -> Stored | None:
    """A finished cell, None if there is none."""
    path = folder / FACTS
    return Stored(key, folder, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def assemble(cells: list[Stored], folder: Path) -> None:
    """Assemble the row's weights (one file per cell) and scores from its finished cells."""
    (folder / WEIGHTS).mkdir()
    for cell in cells:
        shutil.copyfile(cell.folder / WEIGHTS_OF_CELL, weights_file(folder, cell.key))
    save_scores(folder / SCORES, {cell.key: cell.scores() for cell in cells})


def weights_file(folder: Path, key: str) -> Path:
    """The weights of one cell in the folder of a row: the parameters of its repeats, stacked (R, ...)."""
    return folder / WEIGHTS / f"{key}.safetensors"
