"""Peak memory of the paper profile's trainings, predicted without a GPU: ``python -m tools.gpu_check.memory``.

Two updates run on fake CPU tensors through backward and optimiser, while PyTorch's tracker adds up the live tensors.
The CPU's bf16 autocast is adjusted to that of CUDA: layer norms are in float32. Memory that the allocator and the
libraries hold in addition is not included. Writes reports/gpu/predicted.json, from which docs/gpu.md is made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn import functional as F

from tools.gpu_check import models
from tools.gpu_check.fake import fake_values
from tools.gpu_check.models import Tower
from vidprism import methods
from vidprism.config import Config, load_config
from vidprism.config.rows import GROUPS, rows
from vidprism.finetuning import blocks, microbatches
from vidprism.training.recipe import Tuning

PREDICTED = Path(__file__).resolve().parents[2] / "reports" / "gpu" / "predicted.json"
CLASSES, GB = 400, 1e9
CARD_GB = 80.0  # memory of the GPUs that the paper names (A100), 10^9 bytes
METHOD = "vidprism_c"


@dataclass(frozen=True)
class Prediction:
    """Peak memory of training VidPrism in one process, in 10^9 bytes, for an update of `clips` in `accumulate` parts.
    `others_gb` are the models of the cell's other repeats, which are on the device too.
    """

    backbone: str
    frames: int
    clips: int
    accumulate: int
    checkpointing: bool
    peak_gb: float
    others_gb: float


def predict(tower: Tower, clips: int, checkpointing: bool, accumulate: int = 1, repeats: int = 1) -> Prediction:
    """The peak of an AdamW update in bf16; it is the second of two, so that the moments exist."""
    tuned = Tuning(grad_checkpointing=checkpointing, precision="bf16", accumulate=accumulate)
    with fake_values():
        backbone = models.load(tower, "cpu")
        model = models.assemble(backbone, tower, METHOD, CLASSES, tuned, "cpu").train()
        recipe = models.recipe(clips, 10, tuned)
        optimizer = blocks.optimizer(model.trained_groups(recipe.backbone_lr_scale), recipe)
        size = backbone.image_size
        frames = torch.zeros(clips, tower.frames, size, size, 3, dtype=torch.uint8)
        labels = torch.zeros(clips, dtype=torch.int64)
        tracker = MemTracker()
        whole = getattr(backbone, "model", backbone.module)  # with the text tower, which is on the device too
        held = {id(p): p.numel() * p.element_size() for m in (whole, model) for p in m.parameters()}
        tracker.track_external(model, optimizer, *([] if whole is backbone.module else [whole]))
        with tracker, _cuda_autocast():
            for _ in range(2):
                for part, of_part, share in microbatches.cut(frames, labels, accumulate):
                    with torch.autocast("cpu", torch.bfloat16):
                        loss = share * model(part, of_part)
                    loss.backward()
                    tracker.reset_mod_stats()  # the tracker counts one pass through a module
                optimizer.step()
                optimizer.zero_grad()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"] + frames.numel()
    sizes = round(peak / GB, 1), round((repeats - 1) * sum(held.values()) / GB, 1)
    return Prediction(tower.name, tower.frames, clips, accumulate, checkpointing, *sizes)


@contextmanager
def _cuda_autocast() -> Iterator[None]:
    """Inside the block, layer norms are computed in float32, as by CUDA's autocast; that of a CPU keeps them in
    bf16.
    """
    norm = F.layer_norm

    def in_float32(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return norm(x.float(), *args, **kwargs)

    with mock.patch.object(F, "layer_norm", in_float32):
        yield


def towers(config: Config) -> dict[Tower, int]:
    """Every backbone and clip length that the profile trains end to end with VidPrism or a control, with the most
    repeats of a row. Methods of other publications have batches of their own and are not predicted.
    """
    found: dict[Tower, int] = {}
    for row in (row for group in GROUPS for row in rows(config, group).values() if row.track == "tuned"):
        if not methods.is_trained(row.method) or methods.says(row.method, "IS_PEER"):
            continue
        spec = config.profile.backbones[row.backbone]
        tower = Tower(spec.key, spec.model, row.frames)
        found[tower] = max(len(row.repeats), found.get(tower, 0))
    return found


def of_profile(config: Config) -> list[Prediction]:
    """An update of the profile's batch and an update of eight clips, with and without checkpointing."""
    train = config.profile.train
    return [
        predict(tower, clips, checkpointing, train.accumulate if clips == train.batch_size else 1, repeats)
        for tower, repeats in towers(config).items()
        for checkpointing in (True, False)
        for clips in (8, train.batch_size)
    ]


def at_settings(config: Config, found: list[Prediction]) -> list[Prediction]:
    """The predictions for the profile's own batch and checkpointing: what its rows need."""
    train = config.profile.train
    return [p for p in found if (p.clips, p.checkpointing) == (train.batch_size, train.grad_checkpointing)]


def read() -> list[Prediction]:
    """The committed predictions."""
    content = json.loads(PREDICTED.read_text(encoding="utf-8"))
    return [Prediction(**entry) for entry in content["predictions"]]


def main() -> None:
    """Predict for the paper profile and write the file."""
    found = of_profile(load_config("paper"))
    PREDICTED.parent.mkdir(parents=True, exist_ok=True)
    about = {"torch": torch.__version__, "method": METHOD, "classes": CLASSES}
    rows_ = ",\n  ".join(json.dumps(asdict(one)) for one in found)
    head = json.dumps(about, indent=1)[:-2]
    PREDICTED.write_text(f'{head},\n "predictions": [\n  {rows_}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
