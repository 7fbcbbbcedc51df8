"""A VidPrism row of the mini profile's Table 2 on the GPU and on the CPU of the same machine.

The row runs as it is, one cell after the other, and with all its cells in one stack. It needs the cached features of
one dataset.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from tools.gpu_check import models
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size
from tools.gpu_check.speed import seconds
from vidprism import methods
from vidprism.config import Config, load_config, paths, rows
from vidprism.config.rows import Row
from vidprism.evaluation import evaluate
from vidprism.runs.choice import read_choice
from vidprism.runs.train import train_here
from vidprism.training import frozen
from vidprism.training.inputs import FrozenInputs, training_sets
from vidprism.training.job import Job, Outcome, plan

GROUP, METHOD = "few_shot", "vidprism_c"
NEEDED = ("data/features", "data/manifests", "reports/search")
Means = dict[int, tuple[float, float]]  # shots -> mean accuracy in percent, and deviation over repeats


def of_mini(lines: Lines, size: Size) -> None:
    """The row of the mini profile; the toy form skips it."""
    if size is models.TOY:
        lines.skipped("a row of Table 2", "too long for the toy form")
    else:
        row(lines, load_config("mini"), "hmdb51")


def row(lines: Lines, real: Config, dataset: str) -> None:
    """Seconds and accuracies of the three ways; cells of GPU and CPU must agree within their deviation over repeats."""
    if not (paths.features(real, dataset, real.profile.few_shot.backbone) / "meta.json").is_file():
        lines.skipped("a row of Table 2", f"data/features has no {dataset} of the profile {real.profile.name}")
        return
    where = "GPU" if torch.cuda.is_available() else "CPU"
    with _elsewhere(real) as config:
        wanted = replace(rows.row(config, GROUP, METHOD), datasets=(dataset,))
        found: list[Means] = []
        for name, guard in (("CPU", _hidden()), (where, nullcontext())):
            with guard:
                took = seconds(lambda: train_here(config, wanted))
            found.append(_accuracies(evaluate.evaluate_row(config, wanted)))
            lines.measured(f"{dataset}, {METHOD}: {len(wanted.cells)} cells one by one on the {name}", took, "s")
        outcomes: list[Outcome] = []
        took = seconds(lambda: outcomes.append(_stacked(config, wanted, dataset)))
        n = len(wanted.cells) * len(wanted.repeats)
        lines.measured(f"{dataset}, {METHOD}: all {n} trainings in one stack on the {where}", took, "s")
        found.append(_of_stack(config, wanted, dataset, outcomes[0]))
    for shots, (mean, spread) in found[0].items():
        for name, cells in ((where, found[1]), ("one stack", found[2])):
            other, other_spread = cells[shots]
            note = f"{other:.1f} against {mean:.1f}"
            bound = (
                spread + other_spread + 1.0
            )  # deviations over repeats, in points, because another device gives other bits
            lines.right(f"{dataset}, {shots} shots, {name} against CPU", abs(other - mean), bound, "points", note)


@contextmanager
def _hidden() -> Iterator[None]:
    """Inside the block, the suite sees no GPU."""
    with mock.patch.object(torch.cuda, "is_available", lambda: False):
        yield


@contextmanager
def _elsewhere(config: Config) -> Iterator[Config]:
    """The same data in a separate folder, so that no file of this checkout is written."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in NEEDED:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to((config.root_dir / name).resolve())
        train = replace(config.profile.train, threads=os.cpu_count() or 1)
        yield replace(config, root_dir=root, profile=replace(config.profile, train=train))


def _accuracies(record: dict) -> Means:
    return {cell["shots"]: _mean([repeat["top1"] for repeat in cell["repeats"]]) for cell in record["cells"]}


def _mean(accuracies: list[float]) -> tuple[float, float]:
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0


def _stacked(config: Config, wanted: Row, dataset: str) -> Outcome:
    """All cells as one job: a repeat is a training set and a seed, in whichever cell."""
    inputs = FrozenInputs(config, dataset, wanted.frames, wanted.backbone)
    chosen = read_choice(config, wanted.method, wanted.backbone, wanted.track)["chosen"]
    recipe, prompt_set = plan(config, wanted.method, chosen, wanted.updates, wanted.batch_size)
    options = methods.resolve(wanted.method, wanted.options, inputs.n_steps)
    sets = [s for _, shots in wanted.cells for s in training_sets(config, dataset, inputs, shots, wanted.repeats)]
    seeds = list(wanted.repeats) * len(wanted.cells)
    return frozen.run_frozen(Job(wanted.method, options, prompt_set, recipe, sets, seeds, "test", "one stack"), inputs)


def _of_stack(config: Config, wanted: Row, dataset: str, outcome: Outcome) -> Means:
    inputs = FrozenInputs(config, dataset, wanted.frames, wanted.backbone)
    labels_N = inputs.labels("test")[inputs.usable("test")]
    right_R = 100 * (outcome.logits.mean(axis=2).argmax(axis=-1) == labels_N).mean(axis=1)
    cells = right_R.reshape(len(wanted.cells), len(wanted.repeats)).tolist()
    return {shots: _mean(of_cell) for (_, shots), of_cell in zip(wanted.cells, cells, strict=True)}
