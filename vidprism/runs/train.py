"""Train one row of a table: every cell (dataset, shots) with its repeats, scored on the test videos.

A row writes ``weights/<cell>.safetensors`` (repeats stacked), ``scores.npz`` and ``record.json`` (everything except the
accuracies, which `vidprism.evaluation.evaluate` adds). Nothing is selected here: the last update is scored, once.
Finished cells are kept on disk (`vidprism.runs.finished_cells`), and a row that failed continues from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vidprism import methods
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError, paths
from vidprism.config.rows import Row
from vidprism.records import log as live
from vidprism.records.record import MEASURED, SCHEMA, cell_key
from vidprism.records.scores import CellScores, spread
from vidprism.runs import finished_cells
from vidprism.runs.choice import read_choice
from vidprism.runs.tracks import open_track
from vidprism.runtime import files, lock, processes, provenance
from vidprism.runtime.determinism import workspace
from vidprism.runtime.files import whole_folder
from vidprism.runtime.threads import run_in_threads
from vidprism.training.inputs import Inputs, TrainingSet, oddities, training_sets
from vidprism.training.job import Job, Outcome, Start, plan
from vidprism.training.recipe import is_flat, loss_curve
from vidprism.training.speed import Speed

Cell = tuple[str, int | None]  # dataset and shots


def train_here(config: Config, row: Row) -> dict[str, Any]:
    """Train and score one row, and write its folder. If anything fails, an earlier result stays unchanged.

    Processes started by a launcher train a cell of the tuned track together, one cell after the other; cells of the
    frozen track are dealt round-robin to the processes. The first process writes.

    Returns:
        The record as written, in every process.

    Raises:
        ConfigError: unknown option, a method that the track cannot train, rates that do not divide the frames, missing
            search, draws or features.
        TrainingError: a loss is not finite, a logistic regression cannot be fitted, a training video cannot be decoded,
            the processes cannot evenly share a batch, the row is being trained by another process, or its folders
            cannot be written (NotWritable).
        Interrupted: the process was told to stop; finished cells and the states of the others are kept.
    """
    methods.check_track(row.method, row.track)
    processes.meet(row.key, config.profile.train.timeout_sec)
    choice = read_choice(config, row.method, row.backbone, row.track)
    alone = lock.exclusive(paths.work(config, row.group, row.key), f"row {row.key}")
    with alone, workspace(config.profile.train.deterministic):
        processes.from_first(lambda: shutil.rmtree(paths.live(config, row.group, row.key), ignore_errors=True))
        cells = _dealt(config, row, choice) if row.track == "frozen" else _cells(config, row, choice, row.cells)
        return processes.from_first(lambda: _write(config, row, choice, cells))


def _dealt(config: Config, row: Row, choice: dict[str, Any]) -> list[finished_cells.Stored]:
    """Deal cells round-robin to processes."""
    with processes.independent() as (rank, world_size):
        mine = _cells(config, row, choice, row.cells[rank::world_size])
    by_process = processes.gather(mine)
    return [by_process[i % world_size][i // world_size] for i in range(len(row.cells))]


def _cells(config: Config, row: Row, choice: dict[str, Any], cells: Sequence[Cell]) -> list[finished_cells.Stored]:
    return run_in_threads(
        lambda cell: train_cell(config, row, choice, *cell),
        cells,
        config.profile.train.threads,
        "cell",
        split=row.track == "frozen",
    )


def train_cell(
    config: Config, row: Row, choice: dict[str, Any], dataset: str, shots: int | None
) -> finished_cells.Stored:
    """Train all repeats of one cell of a row and score the test videos, unless an earlier run of the row has done so.

    Raises:
        ConfigError: missing draws or features.
        TrainingError: see `train_here`.
    """
    run, inputs = open_track(config, row.track, dataset, row.frames, row.backbone)
    options = methods.resolve(
        row.method, row.options, inputs.n_steps
    )  # a wrong option is found before anything is read
    recipe, prompt_set = plan(config, row.method, choice["chosen"], row.updates, row.batch_size)
    training = training_sets(config, dataset, inputs, shots, row.repeats)
    if row.own is not None and recipe.updates:
        recipe = recipe.by_authors(row.own, min(chosen.n_listed for chosen in training))
    if row.augment:
        recipe = dataclasses.replace(recipe, tuned=dataclasses.replace(recipe.tuned, augment=row.augment))
    where = f"row {row.key}, {dataset}, {'all' if shots is None else shots} shots"
    start = _start(config, row) if row.init_from else None
    job = Job(row.method, options, prompt_set, recipe, training, list(row.repeats), "test", where, start=start)
    key = cell_key(dataset, shots)
    folder = finished_cells.place(config, row, choice, key, job, inputs)
    found = processes.from_first(lambda: finished_cells.read_cell(folder, key))
    if found is None:
        log = _log(config, row, key, inputs)
        outcome = run(dataclasses.replace(job, states=finished_cells.states(folder), log=log), inputs)
        facts = {"cell": _cell(config, row, dataset, shots, job, inputs, outcome), **_shared(row, job, inputs, outcome)}
        scores = _scores(inputs, outcome)
        processes.from_first(lambda: finished_cells.write_cell(folder, key, outcome.weights, scores, facts))
        found = finished_cells.Stored(key, folder, facts)
    return found


def _start(config: Config, row: Row) -> Start:
    """The weights that `init_from` of the row names.

    Raises:
        ConfigError: that row has not been trained here.
    """
    folder = paths.run(config, "closed_set", row.init_from)
    path = finished_cells.weights_file(folder, cell_key(config.profile.closed_set.dataset, None))
    if not path.is_file():
        raise ConfigError(
            f"row '{row.key}' starts from the weights of closed_set/{row.init_from}, which are not at {path}; "
            f"`python -m tools.repro_one closed_set/{row.init_from} {config.profile.name}` trains them"
        )
    return Start(row.init_from, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _log(config: Config, row: Row, series: str, inputs: Inputs) -> live.Log:
    """An empty log, which only the first process writes while the cell trains. Accuracy is hidden for random
    weights.
    """
    folder = paths.live(config, row.group, row.key) if processes.is_first() else None
    hidden = ("accuracy",) if inputs.backbone.get("weights") == RANDOM_WEIGHTS else ()
    return live.Log(series, config.profile.train.log_every, folder, hidden)


def _write(config: Config, row: Row, choice: dict[str, Any], cells: list[finished_cells.Stored]) -> dict[str, Any]:
    """Write the row's folder, its log, and its speed on the tuned track, and delete the finished cells."""
    record = _record(config, row, choice, cells)
    target = paths.run(config, row.group, row.key)
    with files.writing(target), whole_folder(target) as folder:
        finished_cells.assemble(cells, folder)
        (folder / "record.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    logs = {series: points for cell in cells for series, points in cell.facts["logs"].items()}
    live.write_log(paths.live(config, row.group, row.key), logs)
    measured = [Speed(**cell.facts["speed"]) for cell in cells if cell.facts["speed"]]
    if measured:
        path = paths.speed(config, row.group, row.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sum(measured, Speed()).facts(), indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(paths.work(config, row.group, row.key))
    return record


def _scores(inputs: Inputs, outcome: Outcome) -> CellScores:
    labels, readable = inputs.labels("test"), inputs.usable("test")
    experts = None if outcome.experts is None else spread(outcome.experts, readable, len(labels))
    return CellScores(spread(outcome.logits, readable, len(labels)), labels, experts, outcome.usage_train)


def _cell(
    config: Config, row: Row, dataset: str, shots: int | None, job: Job, inputs: Inputs, outcome: Outcome
) -> dict[str, Any]:
    """A cell of the record: setting, data, training."""
    protocol, index = config.profile.protocol, inputs.index("test")
    broken = index[~index["readable"].to_numpy(bool)]
    return {
        "dataset": dataset,
        "shots": shots,
        "frames": row.frames,
        "split": protocol.split_of(dataset),
        **{name: getattr(protocol, name) for name in ("n_clips", "n_crops")},
        "n_listed": len(index),
        "checks": oddities(config, dataset),
        "n_scored": len(index) - len(broken),
        "unreadable": [
            {"path": str(p), "reason": str(r)} for p, r in zip(broken["path"], broken["reason"], strict=True)
        ],
        "n_classes": inputs.n_classes,
        "shot_list": job.training[0].shot_list,
        **({"descriptions": read} if (read := job.descriptions(inputs)) else {}),
        **({"start": _started(job.start, outcome)} if job.start else {}),
        "data_fingerprint": inputs.fingerprint,
        **_training(job, outcome),
    }


def _started(start: Start, outcome: Outcome) -> dict[str, Any]:
    """From which weights the training started, and which trained parameters had none there."""
    fresh = set(outcome.weights) - set(start.of_repeat(0, {name: w[0] for name, w in outcome.weights.items()}))
    return {"row": start.row, "sha256": start.sha256, "fresh": sorted(fresh)}


def _training(job: Job, outcome: Outcome) -> dict[str, Any]:
    # the mean over repeats, without skipped updates
    steps, curve = loss_curve(np.ma.masked_invalid(outcome.losses).mean(axis=0).filled(np.nan))
    lost = outcome.skipped or [[] for _ in job.seeds], outcome.failed or [{} for _ in job.seeds]
    repeats = zip(job.seeds, job.training, outcome.losses, *lost, strict=True)
    return {
        "updates": job.recipe.updates,
        "batch_size": job.batch_size if job.recipe.updates else 0,
        "parameters": outcome.n_parameters,
        "curve": {"step": steps, "loss": curve},
        "repeats": [_repeat(job, *of_one) for of_one in repeats],
    }


def _repeat(
    job: Job, seed: int, chosen: TrainingSet, losses_S: np.ndarray, skipped: list[list[str]], failed: dict[str, str]
) -> dict[str, Any]:
    """A repeat before evaluation. A method that is not trained saw no clip; without updates there is no loss. Skipped
    updates (`train.non_finite`) are listed with the videos of their batch, and so are videos that could not be read.
    """
    n_clips = len(chosen.positions) - len(failed)
    losses_S = losses_S[~np.isnan(losses_S)]
    tenth = max(1, len(losses_S) // 10)
    return {
        "seed": seed,
        "draw": chosen.draw,
        "loss_first": round(float(losses_S[:tenth].mean()), 5) if len(losses_S) else None,
        "loss_last": round(float(losses_S[-tenth:].mean()), 5) if len(losses_S) else None,
        "loss_flat": is_flat(loss_curve(losses_S)[1]),
        "clips_seen": n_clips if job.recipe.inverse_penalty else min(n_clips, len(losses_S) * job.batch_size),
        "draw_sha256": chosen.sha256,
        **({"skipped_updates": skipped} if skipped else {}),
        **({"failed_videos": [{"path": p, "reason": r} for p, r in failed.items()]} if failed else {}),
    }


def _shared(row: Row, job: Job, inputs: Inputs, outcome: Outcome) -> dict[str, Any]:
    """The part of the record that is common to all cells, and the cell's speed."""
    train = {
        name: getattr(job.recipe, name)
        for name in ("updates", "batch_size", "lr", "weight_decay", "warmup", "decay_power")
    }
    if job.recipe.inverse_penalty:
        train["inverse_penalty"] = job.recipe.inverse_penalty
    if row.track == "tuned" and job.recipe.updates:
        tuned = job.recipe.tuned
        train |= {"backbone_lr_scale": job.recipe.backbone_lr_scale, **dataclasses.asdict(tuned)}
        train |= {"blocks": list(tuned.blocks), "precision": tuned.precision_on(outcome.device)}
        if row.own is not None:
            train |= {"beta2": job.recipe.beta2, "floor": job.recipe.floor}
        if tuned.accumulate > 1:
            train["seen_by_micro_batches"] = methods.batch_terms(row.method, job.options)
    return {
        "options": job.options,
        "train": train,
        "backbone": inputs.backbone,
        "device": outcome.device,
        "threads": torch.get_num_threads(),
        "speed": dataclasses.asdict(outcome.speed) if outcome.speed else None,
        "logs": outcome.logs,
    }


def _record(config: Config, row: Row, choice: dict[str, Any], cells: list[finished_cells.Stored]) -> dict[str, Any]:
    first = cells[0].facts
    world_size = processes.requested_size(row.key), processes.world_size()
    return {
        "schema": SCHEMA,
        "profile": config.profile.name,
        "group": row.group,
        "row": row.key,
        "method": row.method,
        "label": methods.load_method(row.method).LABEL,
        "reading": first["options"].get("reading"),
        "track": row.track,
        "backbone": first["backbone"],
        "generated": config.profile.generated,
        "config": {
            "options": first["options"],
            "train": first["train"],
            **{name: value for name in ("augment", "init_from") if (value := getattr(row, name))},
            **({"own": dataclasses.asdict(row.own)} if row.own is not None else {}),
        },
        "search": choice,
        "code": provenance.code_version(),
        "environment": {
            **provenance.environment(first["device"], *world_size),
            "threads": first["threads"],  # of the run that trained the cell, which may be an earlier one
        },
        "status": MEASURED,
        "cells": [cell.facts["cell"] for cell in cells],
    }
