"""Scores of the tuned track: every video is scored exactly once, also if several processes share the work.

Shapes: N videos, V views, C classes, E experts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vidprism.features import encode
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.loader import Failed, Views, read_ahead
from vidprism.runtime import processes, progress, watchdog
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import class_means

if TYPE_CHECKING:
    from vidprism.finetuning.model import EndToEnd

USAGE_CLIPS = 16  # training clips per class for the use of experts: all clips of any draw of shots

Scored = tuple[np.ndarray, np.ndarray | None]


def predict(model: EndToEnd, inputs: VideoInputs, split: str, positions: np.ndarray) -> Scored:
    """Logits (N, V, C) of some videos, and their expert weights (N, E), the mean over views, or None.

    At most `views_per_batch` clips are on the device at a time: if necessary, the views of a video are scored in parts.
    Groups of videos are dealt round-robin to the processes, and all processes get all results. The groups are the same
    as with one process, so that no video is scored twice and a gate that depends on the batch gives the same result.

    Raises:
        TrainingError: a video cannot be decoded.
    """
    model.eval()
    n_clips, n_crops = encode.views(inputs.protocol, split)
    n_videos = max(1, inputs.views_per_batch // (n_clips * n_crops))
    groups = [positions[start : start + n_videos] for start in range(0, len(positions), n_videos)]
    world = processes.world_size()
    mine = Views(inputs, split, groups[processes.rank() :: world])
    found: list[Any] = []
    workers, limit_sec = inputs.reading.workers, n_videos * inputs.reading.limit_sec
    with torch.no_grad():
        coming = read_ahead(mine, range(len(mine)), workers, limit_sec, workers + 1, {})
        for clips in progress.track(coming, "group of videos", len(mine)):
            watchdog.alive(f"scoring {split} videos, group {len(found) + 1} of {len(mine)} of this process")
            if isinstance(clips, Failed):
                names = [inputs.name(split, int(i)) for i in mine.groups[len(found)]]
                raise TrainingError(f"{', '.join(names)}: {clips.reason}, although all of them could be read before")
            found.append(_score(model, torch.as_tensor(clips), inputs.views_per_batch))
    by_process = processes.gather(found)
    logits, experts = zip(*(by_process[i % world][i // world] for i in range(len(groups))), strict=True)
    return np.concatenate(logits), None if experts[0] is None else np.concatenate(experts)


def _score(model: EndToEnd, clips_NVTSS3: Tensor, most: int) -> Scored:
    device, shape = next(model.visual.parameters()).device, clips_NVTSS3.shape[:2]
    parts = [model(part.to(device)) for part in clips_NVTSS3.flatten(0, 1).split(most)]
    logits_NVC = torch.cat([part.logits for part in parts]).unflatten(0, shape).float().cpu().numpy()
    if parts[0].expert_weights is None:
        return logits_NVC, None
    weights_NVE = torch.cat([part.expert_weights for part in parts]).unflatten(0, shape)
    return logits_NVC, weights_NVE.mean(dim=1).float().cpu().numpy()


def usage(model: EndToEnd, inputs: VideoInputs, positions: np.ndarray) -> np.ndarray:
    """Mean expert weights of each class (C, E) over its first `USAGE_CLIPS` training clips at `positions`."""
    at = first_of_each(positions, inputs.labels("train"), USAGE_CLIPS)
    _, experts_NE = predict(model, inputs, "train", at)
    assert experts_NE is not None, "`usage` needs a method with experts"
    return class_means(experts_NE, inputs.labels("train")[at], inputs.n_classes)


def first_of_each(positions: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """The first `most` videos of each class among those at `positions`, in the order of the list; sorted."""
    positions = np.sort(positions)
    of = labels[positions]
    return np.sort(np.concatenate([positions[of == label][:most] for label in np.unique(of)]))
