"""The tuned track: backbone and head train end to end on decoded frames, one repeat after the other.

Devices, precision and (where it is launched on several) processes are Hugging Face Accelerate's. The
backbone's learning rate is the head's times `train.backbone_lr_scale`; `vidprism.training.blocks` says which of its
blocks are trained, and at what share of that rate. Clips are the frozen track's, so that the two tracks differ in what
is trained alone: the protocol's frames (or, with `train.sampling`, random ones) and the centre view for training, its
views for scoring, no augmentation.
Shapes: N videos, B batch, T frames, S pixels (of clips) or updates (of losses), R repeats.
"""

from __future__ import annotations

import time
from copy import deepcopy

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from vidprism import methods
from vidprism.backbones import Backbone
from vidprism.training import blocks, speed
from vidprism.training.clips import VideoInputs
from vidprism.training.jobs import Job, Outcome, join
from vidprism.training.loading import Clips, loader
from vidprism.training.parallel import side_by_side
from vidprism.training.recipe import (
    LOG_EVERY,
    Recipe,
    TrainingError,
    Tuning,
    batch_order,
    check_finite,
    parameter_groups,
)
from vidprism.training.scoring import predict, usage


class EndToEnd(nn.Module):
    """A backbone's visual side and a method's head as one module."""

    def __init__(self, backbone: Backbone, head: nn.Module, tuned: Tuning | None = None) -> None:
        super().__init__()
        tuned = tuned or Tuning()
        self.visual, self.head = backbone.module, head
        self.encode_clips = backbone.encode_clips
        self.visual_groups = blocks.select(backbone, tuned)
        if tuned.grad_checkpointing:
            backbone.set_grad_checkpointing()

    def forward(self, clips_BTSS3: Tensor, labels_B: Tensor | None = None) -> object:
        """uint8 clips (B, T, S, S, 3) -> the objective's total if labels (B,) are given, else the head's
        output.
        """
        output = self.head(self.encode_clips(clips_BTSS3))
        return output if labels_B is None else self.head.objective(output, labels_B)["total"]


def run(job: Job, inputs: VideoInputs) -> Outcome:
    """Train the repeats of a cell and score a split; a method that is not trained is scored once, for all.

    Raises:
        TrainingError: a loss is not finite, a video cannot be decoded, or several processes cannot share the training.
    """
    engine = accelerator(job.recipe.tuned)
    device, world_size = engine.device, engine.num_processes
    _check_shared(job, world_size)
    speed.reset()
    backbone = inputs.load_backbone(device.type)
    seeds = job.seeds if job.recipe.updates else job.seeds[:1]
    # made here, one after the other: loading and initialising draw from torch's one global generator
    tuned = job.recipe.tuned
    models = [EndToEnd(deepcopy(backbone), job.build(inputs, seed).to(device), tuned) for seed in seeds]
    readable = np.flatnonzero(inputs.usable(job.split))

    def repeat(i: int) -> Outcome:
        return _repeat(job, inputs, models[i], i, readable)

    alone = world_size == 1  # processes that train together must not run repeats in different orders
    done = side_by_side(repeat, range(len(models)), inputs.threads, job.where, split=alone)
    return join(done * (len(job.seeds) // len(done)), (device.type, world_size))


def accelerator(tuned: Tuning) -> Accelerator:
    """Accelerate's view of this process. A batch is split over the processes, so that its size is the
    recipe's.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    precision = tuned.precision_on("cuda" if torch.cuda.is_available() else "cpu").replace("fp32", "no")
    return Accelerator(mixed_precision=precision, dataloader_config=DataLoaderConfiguration(split_batches=True))


def _check_shared(job: Job, world_size: int) -> None:
    """Processes average their gradients: right for an objective that is a mean over samples, in equal parts."""
    if world_size == 1 or not job.recipe.updates:
        return
    terms = methods.batch_terms(job.method, job.options)
    if terms:
        raise TrainingError(
            f"{job.where}: {job.method} looks at the batch as a whole ({', '.join(terms)}), and {world_size} processes "
            "would each look at a part of it; start one process"
        )
    if job.batch_size % world_size:
        raise TrainingError(
            f"{job.where}: {world_size} processes cannot evenly share a batch of {job.batch_size} clips; start a "
            "number of processes that divides it"
        )


def _repeat(job: Job, inputs: VideoInputs, model: EndToEnd, i: int, readable: np.ndarray) -> Outcome:
    """Train and score repeat `i` alone."""
    at, seed, recipe = job.training[i].positions, job.seeds[i], job.recipe
    losses, weights, n_parameters = np.empty(0), {}, 0
    start = time.perf_counter()
    if recipe.updates:
        clips = Clips(inputs, at, recipe.tuned.sampling, seed)
        losses = fit(model, clips, recipe, job.batch_size, seed, job.where, inputs.workers)
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        n_parameters = sum(p.numel() for p in trained.values())
        weights = {name: p.detach().cpu()[None] for name, p in trained.items() if _kept(name, recipe.tuned)}
    fitted = time.perf_counter()
    logits, experts = predict(model, inputs, job.split, readable)
    took = (len(losses) * job.batch_size, fitted - start, len(readable), time.perf_counter() - fitted)
    if experts is not None:
        experts = experts[None]
    # a search asks for dev scores alone
    used = None if experts is None or job.split != "test" else usage(model, inputs, at)[None]
    measured = speed.Speed(*took, speed.peak_mib())
    return Outcome(losses[None], logits[None], experts, used, weights, n_parameters, speed=measured)


def _kept(name: str, tuned: Tuning) -> bool:
    """Whether a trained parameter of `EndToEnd` is stored (`train.keep_weights`)."""
    return tuned.keep_weights == "all" or (tuned.keep_weights == "head" and name.startswith("head."))


def fit(
    model: EndToEnd,
    clips: Dataset,
    recipe: Recipe,
    batch_size: int,
    seed: int,
    where: str,
    workers: int = 0,
) -> np.ndarray:
    """Train one model in place; with `ema_decay` it ends with the average of its weights.

    Args:
        clips: n clips with labels; item p * n + i is clip i in pass p over them.

    Returns:
        The objective before each update, (S,).

    Raises:
        TrainingError: a loss is not finite.
    """
    order = batch_order(len(clips), batch_size, recipe.updates, seed)
    passes = np.arange(order.size) // len(clips)
    batches = loader(clips, workers, batch_size, sampler=(passes * len(clips) + order.ravel()).tolist())
    optimizer = _optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.lr_factor)
    engine = accelerator(recipe.tuned)
    wrapped, prepared, batches = engine.prepare(model.train(), optimizer, batches)
    model.visual.train(bool(model.visual_groups))  # a frozen backbone keeps its statistics too
    trained = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
    decay = recipe.tuned.ema_decay
    average = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None
    history: list[Tensor] = []
    progress = tqdm(batches, desc=f"{where}, repeat {seed}", leave=False, mininterval=1.0)
    for step, (frames, labels) in enumerate(progress):
        loss = wrapped(frames, labels)
        prepared.zero_grad()
        engine.backward(loss)
        prepared.step()
        schedule.step()
        if average:
            average.update_parameters(trained)
        history.append(loss.detach())
        if (step + 1) % LOG_EVERY == 0 or step + 1 == recipe.updates:
            first = step // LOG_EVERY * LOG_EVERY
            # of several processes each has the loss of its part of the batch; all get, and judge, the mean
            history[first:] = means = engine.reduce(torch.stack(history[first:]), "mean")
            for back, value in enumerate(means.tolist()):
                check_finite([value], [seed], first + back, where, recipe.lr)
    engine.free_memory()
    if average:
        trained.load_state_dict(average.module.state_dict())
    return torch.stack(history).float().cpu().numpy()


def _optimizer(model: EndToEnd, recipe: Recipe) -> torch.optim.AdamW:
    head = parameter_groups(model.head.parameters(), recipe)
    visual = [
        group
        for parameters, share in model.visual_groups
        for group in parameter_groups(parameters, recipe, lr_scale=recipe.backbone_lr_scale * share)
    ]
    return torch.optim.AdamW([*head, *visual])
