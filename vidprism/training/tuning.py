"""The tuned track: backbone and head train end to end on decoded frames, one repeat after the other.

Devices, precision and (where it is launched on several) processes are Hugging Face Accelerate's. The
backbone's learning rate is the head's times `train.backbone_lr_scale`; `vidprism.training.blocks` says which of its
blocks are trained, and at what share of that rate. Clips are the frozen track's: the
protocol's frames and the centre view for training, its views for scoring, no augmentation; so the two tracks
differ in what is trained alone.
Shapes: N videos, V views, B batch, T frames, S pixels, D width, C classes, E experts, R repeats.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from vidprism import encoding
from vidprism.backbones import Backbone
from vidprism.training import blocks
from vidprism.training.clips import VideoInputs
from vidprism.training.jobs import Job, Outcome, class_means, join
from vidprism.training.parallel import side_by_side
from vidprism.training.recipe import LOG_EVERY, Recipe, Tuning, batch_order, check_finite, parameter_groups


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


class Clips(Dataset):
    """Training clips (T, S, S, 3) with their labels."""

    def __init__(self, inputs: VideoInputs, positions: np.ndarray) -> None:
        self.inputs, self.positions, self.labels = inputs, positions, inputs.labels("train")[positions]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.inputs.read("train", self.positions[i : i + 1])[0, 0]), int(self.labels[i])


def run(job: Job, inputs: VideoInputs) -> Outcome:
    """Train the repeats of a cell and score a split; a method that is not trained is scored once, for all.

    Raises:
        TrainingError: a loss is not finite.
    """
    engine = accelerator(job.recipe.tuned)
    device, world_size = engine.device, engine.num_processes
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


def _repeat(job: Job, inputs: VideoInputs, model: EndToEnd, i: int, readable: np.ndarray) -> Outcome:
    """Train and score repeat `i` alone."""
    at, losses, weights = job.training[i].positions, np.empty(0), {}
    if job.recipe.updates:
        losses = fit(model, Clips(inputs, at), job.recipe, job.batch_size, job.seeds[i], job.where)
        weights = {name: p.detach().cpu()[None] for name, p in model.named_parameters() if p.requires_grad}
    logits, experts = predict(model, inputs, job.split, readable)
    if experts is None:
        return Outcome(losses[None], logits[None], None, None, weights, n_parameters(weights))
    _, seen = predict(model, inputs, "train", at)
    usage = class_means(seen, inputs.labels("train")[at], inputs.n_classes)
    return Outcome(losses[None], logits[None], experts[None], usage[None], weights, n_parameters(weights))


def n_parameters(weights: dict[str, Tensor]) -> int:
    """Trained parameters of one repeat; 0 for a method that is not trained."""
    return sum(weight[0].numel() for weight in weights.values())


def fit(
    model: EndToEnd,
    clips: Clips,
    recipe: Recipe,
    batch_size: int,
    seed: int,
    where: str,
) -> np.ndarray:
    """Train one model in place; with `ema_decay` it ends with the average of its weights.

    Returns:
        The objective before each update, (S,).

    Raises:
        TrainingError: a loss is not finite.
    """
    order = batch_order(len(clips), batch_size, recipe.updates, seed)
    loader = DataLoader(clips, batch_size=batch_size, sampler=order.ravel().tolist())
    head = parameter_groups(model.head.parameters(), recipe)
    visual = [
        group
        for parameters, share in model.visual_groups
        for group in parameter_groups(parameters, recipe, lr_scale=recipe.backbone_lr_scale * share)
    ]
    optimizer = torch.optim.AdamW([*head, *visual])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.lr_factor)
    engine = accelerator(recipe.tuned)
    wrapped, prepared, loader = engine.prepare(model.train(), optimizer, loader)
    model.visual.train(bool(visual))  # a frozen backbone keeps its statistics too
    trained = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
    decay = recipe.tuned.ema_decay
    average = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None
    history: list[Tensor] = []
    for step, (frames, labels) in enumerate(tqdm(loader, desc=f"{where}, repeat {seed}", leave=False, mininterval=1.0)):
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
            for back, value in enumerate(torch.stack(history[first:]).tolist()):
                check_finite([value], [seed], first + back, where, recipe.lr)
    engine.free_memory()
    if average:
        trained.load_state_dict(average.module.state_dict())
    return torch.stack(history).float().cpu().numpy()


def predict(
    model: EndToEnd, inputs: VideoInputs, split: str, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits (N, V, C) of some videos, and their expert weights (N, E), the mean over views, or None.

    At most `views_per_batch` clips are on the device at a time: a video's views are scored in parts if need be.
    """
    model.eval()
    device, most = next(model.visual.parameters()).device, inputs.views_per_batch
    n_clips, n_crops = encoding.views(inputs.protocol, split)
    n_videos = max(1, most // (n_clips * n_crops))
    logits, experts = [], []
    with torch.no_grad():
        for start in range(0, len(positions), n_videos):
            clips_NVTSS3 = torch.from_numpy(inputs.read(split, positions[start : start + n_videos]))
            parts = [model(part.to(device)) for part in clips_NVTSS3.flatten(0, 1).split(most)]
            shape = clips_NVTSS3.shape[:2]
            logits.append(torch.cat([part.logits for part in parts]).unflatten(0, shape).float().cpu().numpy())
            if parts[0].expert_weights is not None:
                weights_NVE = torch.cat([part.expert_weights for part in parts]).unflatten(0, shape)
                experts.append(weights_NVE.mean(dim=1).float().cpu().numpy())
    return np.concatenate(logits), np.concatenate(experts) if experts else None
