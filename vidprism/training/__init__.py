"""Train one row of a table: every cell (dataset, shots) with its repeats, scored on the test videos.

A row writes ``weights.safetensors`` (repeats stacked), ``scores.npz`` and ``record.json`` (everything but the
accuracies, which `vidprism.evaluation` adds). Nothing is selected here: the last update is scored, once.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.torch import save_file

from vidprism import methods, paths, provenance
from vidprism.config import Config
from vidprism.record import MEASURED, SCHEMA, cell_key
from vidprism.rows import Row
from vidprism.scores import CellScores, save, spread, whole_folder
from vidprism.training.inputs import Inputs, oddities, training_sets
from vidprism.training.jobs import Job, Outcome, TrainingSet, plan
from vidprism.training.parallel import side_by_side
from vidprism.training.recipe import TrainingError, is_flat, loss_curve, read_choice
from vidprism.training.tracks import open_track


def train_row(config: Config, row: Row) -> dict[str, Any]:
    """Train and score one row, and write its folder; if anything fails, an earlier result stays as it was.

    Returns:
        The record as written.

    Raises:
        ConfigError: unknown option, rates that do not divide the frames, missing search, draws or features.
        TrainingError: a loss is not finite, or a launcher started more than one process.
    """
    if _processes_asked() != 1:
        raise TrainingError(
            f"{row.key}: {_processes_asked()} processes were started, and a row trains in one; start one"
        )
    choice = read_choice(config, row.method, row.backbone)
    with whole_folder(paths.run(config, row.group, row.key)) as folder:
        frozen = row.track == "frozen"
        trained = side_by_side(
            lambda cell: train_cell(config, row, choice, *cell),
            row.cells,
            config.profile.train.threads,
            row.key,
            split=frozen,
        )
        record = _record(config, row, choice, trained)
        save_file(
            {f"{cell.key}.{name}": w for cell in trained for name, w in cell.outcome.weights.items()},
            folder / "weights.safetensors",
        )
        save(folder / "scores.npz", {cell.key: _scores(cell) for cell in trained})
        (folder / "record.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return record


def _processes_asked() -> int:
    """World size that a launcher such as torchrun asked for; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@dataclass(frozen=True)
class TrainedCell:
    """One cell after training: what was asked, what it was trained on, and what came out."""

    dataset: str
    shots: int | None
    job: Job
    inputs: Inputs
    outcome: Outcome

    @property
    def key(self) -> str:
        """Name of the cell's arrays."""
        return cell_key(self.dataset, self.shots)


def train_cell(config: Config, row: Row, choice: dict[str, Any], dataset: str, shots: int | None) -> TrainedCell:
    """Train all repeats of one cell of a row and score the test videos.

    Raises:
        ConfigError: missing draws or features.
        TrainingError: a loss is not finite.
    """
    run, inputs = open_track(config, row.track, dataset, row.frames, row.backbone)
    options = methods.resolve(row.method, row.options, inputs.n_steps)  # a wrong one is found before anything is read
    recipe, prompt_set = plan(config, row.method, choice["chosen"], row.updates, row.batch_size)
    training = training_sets(config, dataset, inputs, shots, row.repeats)
    where = f"row {row.key}, {dataset}, {'all' if shots is None else shots} shots"
    job = Job(row.method, options, prompt_set, recipe, training, list(row.repeats), "test", where)
    return TrainedCell(dataset, shots, job, inputs, run(job, inputs))


def _scores(cell: TrainedCell) -> CellScores:
    labels, readable, outcome = cell.inputs.labels("test"), cell.inputs.usable("test"), cell.outcome
    experts = None if outcome.experts is None else spread(outcome.experts, readable, len(labels))
    return CellScores(spread(outcome.logits, readable, len(labels)), labels, experts, outcome.usage_train)


def _cell(config: Config, row: Row, cell: TrainedCell) -> dict[str, Any]:
    """A cell of the record: setting, data, training."""
    protocol, index = config.profile.protocol, cell.inputs.index("test")
    broken = index[~index["readable"].to_numpy(bool)]
    return {
        "dataset": cell.dataset,
        "shots": cell.shots,
        "frames": row.frames,
        "split": protocol.split_of(cell.dataset),
        **{name: getattr(protocol, name) for name in ("n_clips", "n_crops")},
        "n_listed": len(index),
        "checks": oddities(config, cell.dataset),
        "n_scored": len(index) - len(broken),
        "unreadable": [
            {"path": str(p), "reason": str(r)} for p, r in zip(broken["path"], broken["reason"], strict=True)
        ],
        "n_classes": cell.inputs.n_classes,
        "shot_list": cell.job.training[0].shot_list,
        "data_fingerprint": cell.inputs.fingerprint,
        **_training(cell.job, cell.outcome),
    }


def _training(job: Job, outcome: Outcome) -> dict[str, Any]:
    steps, curve = loss_curve(outcome.losses.mean(axis=0))  # the mean of the repeats
    repeats = zip(job.seeds, job.training, outcome.losses, strict=True)
    return {
        "updates": job.recipe.updates,
        "batch_size": job.batch_size if job.recipe.updates else 0,
        "parameters": outcome.n_parameters,
        "curve": {"step": steps, "loss": curve},
        "repeats": [_repeat(job, seed, chosen, losses) for seed, chosen, losses in repeats],
    }


def _repeat(job: Job, seed: int, chosen: TrainingSet, losses_S: np.ndarray) -> dict[str, Any]:
    """A repeat before evaluation; a method that is not trained saw no clip and has no loss."""
    tenth = max(1, len(losses_S) // 10)
    return {
        "seed": seed,
        "draw": chosen.draw,
        "loss_first": round(float(losses_S[:tenth].mean()), 5) if len(losses_S) else None,
        "loss_last": round(float(losses_S[-tenth:].mean()), 5) if len(losses_S) else None,
        "loss_flat": is_flat(loss_curve(losses_S)[1]),
        "clips_seen": min(len(chosen.positions), len(losses_S) * job.batch_size),
        "draw_sha256": chosen.sha256,
    }


def _record(config: Config, row: Row, choice: dict[str, Any], trained: list[TrainedCell]) -> dict[str, Any]:
    first = trained[0]
    device, world_size = first.outcome.devices
    train = {
        name: getattr(first.job.recipe, name)
        for name in ("updates", "batch_size", "lr", "weight_decay", "warmup", "decay_power")
    }
    if row.track == "tuned" and first.job.recipe.updates:
        tuned = first.job.recipe.tuned
        train |= {"backbone_lr_scale": first.job.recipe.backbone_lr_scale, **dataclasses.asdict(tuned)}
        train |= {"blocks": list(tuned.blocks), "precision": tuned.precision_on(device)}
    return {
        "schema": SCHEMA,
        "profile": config.profile.name,
        "group": row.group,
        "row": row.key,
        "method": row.method,
        "label": methods.load(row.method).LABEL,
        "reading": first.job.options.get("reading"),
        "track": row.track,
        "backbone": first.inputs.backbone,
        "generated": config.profile.generated,
        "config": {"options": first.job.options, "train": train},
        "search": choice,
        "code": provenance.code_version(),
        "environment": provenance.environment(device, _processes_asked(), world_size),
        "status": MEASURED,
        "cells": [_cell(config, row, cell) for cell in trained],
    }
