"""The tuned track: backbone and head train end to end on decoded frames (`vidprism.finetuning.loop`), one repeat after
the other.

Each of several processes encodes its part of a batch and receives the features of the whole batch with their gradient.
The head and its objective therefore see the same as in one process, also for terms that depend on the whole batch (gate
balance, the released gate and diversity). The head is small; the work of the backbone is shared. The backbone's
learning rate is that of the head times `train.backbone_lr_scale`; `vidprism.finetuning.blocks` decides which blocks are
trained and at which share of that rate. The clips are those of the frozen track, so that the tracks differ only in what
is trained: the protocol's frames (or random ones with `train.sampling`) and the centre view for training, the
protocol's views for scoring, and no augmentation unless `train.augment` asks for one.

Shapes: N videos, B batch, T frames, S pixels (of clips) or updates (of losses), R repeats.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from vidprism.backbones import Backbone
from vidprism.finetuning.checkpoint import Keeper
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.loader import Clips
from vidprism.finetuning.loop import Fitted, accelerator, fit
from vidprism.finetuning.model import EndToEnd
from vidprism.finetuning.score import predict, usage
from vidprism.runtime.determinism import deterministic
from vidprism.runtime.errors import TrainingError
from vidprism.runtime.threads import run_in_threads
from vidprism.training import speed
from vidprism.training.job import Job, Outcome, join_outcomes
from vidprism.training.recipe import Tuning


def run_tuned(job: Job, inputs: VideoInputs) -> Outcome:
    """Train the repeats of a cell and score a split. A method that is not trained is scored once for all repeats.

    Raises:
        TrainingError: a loss is not finite, a video cannot be decoded, the processes and micro-batches cannot share a
            batch, or shards were requested with one process.
    """
    with deterministic(job.recipe.tuned.deterministic):
        return _run(job, inputs)


def _run(job: Job, inputs: VideoInputs) -> Outcome:
    engine = accelerator(job.recipe.tuned)
    device, world_size = engine.device, engine.num_processes
    _check_shared(job, world_size)
    speed.reset()
    backbone = inputs.load_backbone(device.type)
    seeds = job.seeds if job.recipe.updates else job.seeds[:1]
    # built one after the other: loading and initialising draw from torch's global generator
    tuned = job.recipe.tuned
    models = [_model(job, inputs, deepcopy(backbone), i, tuned).to(device) for i in range(len(seeds))]
    readable = np.flatnonzero(inputs.usable(job.split))

    def repeat(i: int) -> Outcome:
        return _repeat(job, inputs, models[i], i, readable)

    # processes that train together must run repeats in the same order, and a single repeat uses all cores
    split = world_size == 1 and len(models) > 1
    done = run_in_threads(repeat, range(len(models)), inputs.threads, "repeat", split=split)
    return join_outcomes(done * (len(job.seeds) // len(done)), device.type)


def _model(job: Job, inputs: VideoInputs, backbone: Backbone, i: int, tuned: Tuning) -> EndToEnd:
    """Repeat `i` before its training."""
    model = EndToEnd(backbone, job.build(inputs, job.seeds[i], backbone), tuned, job.seeds[i])
    if job.start is not None:
        own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        with torch.no_grad():
            for name, value in job.start.of_repeat(i, own).items():
                own[name].copy_(value)
    return model


def _check_shared(job: Job, world_size: int) -> None:
    tuned = job.recipe.tuned
    if job.recipe.updates and job.batch_size % world_size:
        raise TrainingError(
            f"{job.where}: {world_size} processes cannot evenly share a batch of {job.batch_size} clips; start a "
            "number of processes that divides it"
        )
    part = job.batch_size // world_size
    if job.recipe.updates and part % tuned.accumulate:
        raise TrainingError(
            f"{job.where}: train.accumulate {tuned.accumulate} cannot evenly cut the {part} clips of a batch that each "
            f"process has; choose a number that divides {part}"
        )
    if job.recipe.updates and tuned.mix != "none" and part // tuned.accumulate % 2:
        raise TrainingError(
            f"{job.where}: train.mix {tuned.mix} mixes pairs of clips, but {part // tuned.accumulate} clips of a batch "
            "lie together in a process and micro-batch; choose numbers with which these are even"
        )
    if tuned.strategy == "fsdp" and world_size == 1:
        raise TrainingError(
            f"{job.where}: train.strategy fsdp needs several processes to hold the shards, and there is one; set "
            "train.devices to 2 or more, or strategy to ddp"
        )


def _repeat(job: Job, inputs: VideoInputs, model: EndToEnd, i: int, readable: np.ndarray) -> Outcome:
    """Train and score repeat `i`."""
    at, seed, recipe = job.training[i].positions, job.seeds[i], job.recipe
    fitted, weights, n_parameters = Fitted(np.empty(0), 0), {}, 0
    log = replace(job.log, series=f"{job.log.series} repeat {seed}", points=[])
    start = time.perf_counter()
    if recipe.updates:
        clips = Clips(inputs, at, recipe.tuned.sampling, seed, recipe.tuned.augment)
        keeper = Keeper(job.states / f"repeat-{seed}.pt", inputs.save_every) if job.states else None
        fitted = fit(model, clips, recipe, job.batch_size, seed, job.where, inputs.reading, keeper, log)
        if hasattr(model.head, "finish"):
            model.head.finish()
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        n_parameters = sum(p.numel() for p in trained.values())
        weights = {name: p.detach().cpu()[None] for name, p in trained.items() if _kept(name, recipe.tuned)}
    trained_at = time.perf_counter()
    logits, experts = predict(model, inputs, job.split, readable)
    scored_at = time.perf_counter()
    took = (fitted.updates_done * job.batch_size, trained_at - start, len(readable), scored_at - trained_at)
    if experts is not None:
        experts = experts[None]
    # a search only needs dev scores
    used = None if experts is None or job.split != "test" else usage(model, inputs, at)[None]
    measured = speed.Speed(*took, speed.peak_mib())
    return Outcome(
        fitted.losses[None],
        logits[None],
        experts,
        used,
        weights,
        n_parameters,
        speed=measured,
        skipped=[fitted.skipped],
        failed=[fitted.failed],
        logs={log.series: log.points},
    )


def _kept(name: str, tuned: Tuning) -> bool:
    """Whether a trained parameter of `EndToEnd` is stored (`train.keep_weights`)."""
    return tuned.keep_weights == "all" or (tuned.keep_weights == "head" and name.startswith("head."))
