"""Training in two processes compared with one, the cost of saving and resuming a state, views scored in parts, the
effect of micro-batches, and the cost of determinism.

It uses the data of the chosen profile (from `make reproduce` or `make smoke`) and a separate folder. On a machine whose
two cores are threads of one core, two processes share its arithmetic, and the ratio shows what the machine allows.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from vidprism import methods
from vidprism.config import Config, ConfigError, load_config, paths, rows
from vidprism.config.rows import Row
from vidprism.evaluation import results
from vidprism.finetuning import loop
from vidprism.finetuning.checkpoint import Keeper
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.model import EndToEnd
from vidprism.finetuning.score import predict
from vidprism.runs import launch
from vidprism.runtime import interruption
from vidprism.runtime.interruption import Interrupted
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe

LINKED = ("data/features", "data/manifests", "data/backbones", "data/generated", "data/lists", "reports/search")


def run() -> dict[str, str]:
    """Seconds, videos per second and ratios."""
    real = load_config()
    plan = rows.rows(real, "few_shot")
    if "mean_pool-tuned" not in plan or not paths.manifest(real, real.profile.tuned.datasets[0]).is_dir():
        return {"not measured": "no row on the tuned track, or no data of this profile yet; see `make reproduce`"}
    with tempfile.TemporaryDirectory(prefix="vidprism-bench-") as folder:
        config = _elsewhere(real, Path(folder))
        tuned = plan["mean_pool-tuned"]
        tuned = replace(tuned, repeats=tuned.repeats[:1], updates=min(tuned.updates, 50))
        return {
            **_frozen(config, plan["mean_pool"]),
            **_tuned(config, tuned),
            **_logging(config, plan["vidprism_c"], tuned),
            **_saving(config, tuned),
            **_resume(config, tuned),
            **_views(config, tuned),
            **_accumulated(config, tuned),
            **_deterministic(config, tuned),
        }


def _elsewhere(config: Config, root: Path) -> Config:
    for name in LINKED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to((config.root_dir / name).resolve())
    return replace(config, root_dir=root)


def _with(config: Config, **train: object) -> Config:
    return replace(config, profile=replace(config.profile, train=replace(config.profile.train, **train)))


def _seconds(config: Config, row: Row) -> float:
    start = time.perf_counter()
    launch.train_row(config, row)
    return time.perf_counter() - start


def _frozen(config: Config, row: Row) -> dict[str, str]:
    one, two = (_seconds(_with(config, devices=n, threads=n), row) for n in (1, 2))
    return {
        f"{len(row.cells)} cells on cached features, 1 process": f"{one:.1f} s",
        "2 processes, their start included": f"{two:.1f} s, {one / two:.2f} x as fast",
    }


def _tuned(config: Config, row: Row) -> dict[str, str]:
    rates = {}
    for n, threads in ((1, 1), (1, 2), (2, 2)):
        _seconds(_with(config, devices=n, threads=threads, save_every=0), row)
        rates[n, threads] = results.read_json(paths.speed(config, row.group, row.key))["train_videos_per_sec"]
    best = max(rates[1, 1], rates[1, 2])
    return {
        "tuned, 1 process of 1 and of 2 threads": f"{rates[1, 1]:.1f} and {rates[1, 2]:.1f} videos/s",
        "tuned, 2 processes of 1 thread": f"{rates[2, 2]:.1f} videos/s, {rates[2, 2] / best:.2f} x the better",
    }


def _logging(config: Config, frozen: Row, tuned: Row) -> dict[str, str]:
    """The log of a run (`train.log_every` 10) compared with none: the best of three rows each, alternating."""
    one_cell = replace(frozen, datasets=frozen.datasets[:1], shots=frozen.shots[-1:])
    found = {}
    for name, row in (("on cached features", one_cell), ("tuned", tuned)):
        best = {0: float("inf"), 10: float("inf")}
        for every in (0, 10) * 3:
            settings = {"devices": 1, "threads": 1, "save_every": 0, "log_every": every}
            best[every] = min(best[every], _seconds(_with(config, **settings), row))
        found[f"a row {name} without a log, with one"] = (
            f"{best[0]:.2f} and {best[10]:.2f} s, {100 * (best[10] / best[0] - 1):+.1f} %"
        )
    return found


def _saving(config: Config, row: Row) -> dict[str, str]:
    took: list[float] = []
    save = Keeper.save

    def timed(self: Keeper, state: dict) -> None:
        start = time.perf_counter()
        save(self, state)
        took.append(time.perf_counter() - start)

    Keeper.save = timed
    try:
        _seconds(_with(config, devices=1, threads=1, save_every=10), row)
    finally:
        Keeper.save = save
    return {"stall of a saved state, median": f"{1000 * np.median(took):.1f} ms of {len(took)}"}


def _resume(config: Config, row: Row) -> dict[str, str]:
    alone = _with(config, devices=1, threads=1, save_every=0)
    whole = _seconds(alone, row)
    update, half = loop._Loop._update, row.updates // 2

    def stopping(self: loop._Loop, *batch: torch.Tensor) -> None:
        update(self, *batch)
        if self.step == half:
            interruption._asked.set()

    loop._Loop._update = stopping
    start = time.perf_counter()
    try:
        launch.train_row(alone, row)
    except Interrupted:
        interruption.forget()
    finally:
        loop._Loop._update = update
    launch.train_row(alone, row)
    lost = time.perf_counter() - start - whole
    return {"stopped half way and resumed, in one process": f"{lost:.2f} s more than {whole:.1f} s"}


def _views(config: Config, row: Row) -> dict[str, str]:
    dataset = row.datasets[0]
    inputs = VideoInputs(config, dataset, row.frames, row.backbone)
    job = Job(
        row.method, methods.resolve(row.method, {}, inputs.n_steps), "plain", Recipe(0, 1, 0, 0, 0), [], [0], "test", ""
    )
    model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
    some = np.flatnonzero(inputs.usable("test"))[:48]
    torch.set_num_threads(1)
    found = {}
    for views in (1, inputs.views_per_batch):
        inputs.views_per_batch = views
        start = time.perf_counter()
        predict(model, inputs, "test", some)
        found[views] = len(some) / (time.perf_counter() - start)
    one, many = found.values()
    return {f"scored, views one by one and {max(found)} together": f"{one:.1f} and {many:.1f} videos/s"}


def _accumulated(config: Config, row: Row) -> dict[str, str]:
    """How far micro-batches deviate from whole batches: the largest deviation of the loss curve, relative to the loss,
    and the norm of the difference of all final weights, relative to their norm. The first two methods are uncoupled,
    and their rounding is the reference for the other two.
    """
    found = {}
    uncoupled = [("mean_pool", {}), ("vidprism_c", {"lambda_gate": 0})]
    for method, options in (*uncoupled, ("vidprism_c", {}), ("vidprism_c", {"reading": "released"})):
        one = replace(row, method=method, key=f"{method}-accumulated", options=options)
        (curve, weights), (cut_curve, cut_weights) = (_trained(config, one, n) for n in (1, 2))
        loss = np.abs(cut_curve / curve - 1).max()
        weight = torch.linalg.vector_norm(cut_weights - weights) / torch.linalg.vector_norm(weights)
        name = " ".join([method, *(f"{key} {value}" for key, value in options.items())])
        found[f"accumulate 2 against 1, {name}"] = f"loss curve {loss:.1e}, final weights {weight:.1e}"
    return found


def _trained(config: Config, row: Row, accumulate: int) -> tuple[np.ndarray, torch.Tensor]:
    record = launch.train_row(_with(config, devices=1, threads=1, save_every=0, accumulate=accumulate), row)
    (cell,) = (paths.run(config, row.group, row.key) / "weights").iterdir()
    weights = load_file(cell)
    curve = np.array(record["cells"][0]["curve"]["loss"])
    return curve, torch.cat([weights[name].flatten() for name in sorted(weights)])


def _deterministic(config: Config, row: Row) -> dict[str, str]:
    rates = {}
    for asked in (False, True, False, True):  # alternating, so that a slower phase of the machine affects both
        _seconds(_with(config, devices=1, threads=1, save_every=0, deterministic=asked), row)
        rate = results.read_json(paths.speed(config, row.group, row.key))["train_videos_per_sec"]
        rates[asked] = max(rate, rates.get(asked, 0.0))
    return {"tuned, deterministic false and true": f"{rates[False]:.1f} and {rates[True]:.1f} videos/s"}


if __name__ == "__main__":
    try:
        print(run())
    except ConfigError as error:
        raise SystemExit(str(error)) from None
