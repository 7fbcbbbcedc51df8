"""The speed of the tuned track in training and scoring, and its memory, with noise clips that are on the device.

Letters: B clips, V views, T frames, S side in pixels.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from tools.gpu_check import models
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size, Tower
from vidprism import complexity, methods
from vidprism.config import ConfigError
from vidprism.finetuning import score
from vidprism.finetuning.checkpoint import Keeper
from vidprism.finetuning.loop import _Loop, accelerator
from vidprism.records.log import Log
from vidprism.training.recipe import Tuning

METHOD = "vidprism_c"
PASSES = 3  # forward and backward cost three forward passes; the second forward pass of checkpointing is not counted
GOALS = {False: 0.40, True: 0.30}  # aimed share of the matrix product's speed, by checkpointing: ViT-B/16 at 8 frames
VIEWS, VIEWS_AT_ONCE = 12, 32  # views of the paper's protocol, and `train.views_per_batch`
PREDICTED = (8, 64)  # clips per update for which docs/gpu.md predicts the memory
FILLED = 0.92  # usable share of the device's memory; allocator and libraries need the rest
GB = 1e9


@dataclass
class Updates:
    """The loop of the tuned track with one batch on the device: (B, T, S, S, 3) uint8 and labels (B,)."""

    loop: _Loop
    frames: Tensor
    labels: Tensor

    def run(self, n: int) -> None:
        """Make `n` updates, and return when they are finished."""
        for _ in range(n):
            self.loop._update(self.frames, self.labels)
        wait()

    def seconds(self, n: int) -> float:
        """Seconds per update: the mean of `n`, after two that are not counted."""
        self.run(2)
        return seconds(lambda: self.run(n)) / n


def seconds(work: Callable[[], object]) -> float:
    """Wall time of work that is done when it returns."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def wait() -> None:
    """Wait until the device has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def updates(size: Size, tower: Tower, batch_size: int, method: str = METHOD, **tuned: object) -> Updates:
    """A model that is ready to train, with a batch."""
    forget()
    settings = Tuning(**tuned)
    model = models.build(tower, method, size.n_classes, settings)
    one = models.noise(tower, 1, size.n_classes)
    recipe = models.recipe(batch_size, 1000, settings)
    loop = _Loop(model, one, recipe, batch_size, 0, method, Keeper(), Log(""))
    on = loop.engine.device
    frames = torch.randint(0, 256, (batch_size, *one.shape), dtype=torch.uint8, device=on)
    return Updates(loop, frames, torch.arange(batch_size, device=on) % size.n_classes)


def forget() -> None:
    """Free the results of earlier measurements, and reset the peak of memory."""
    AcceleratorState._reset_state()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb() -> float:
    """Peak memory of tensors on the GPU since `forget`, in 10^9 bytes; 0 without a GPU."""
    return torch.cuda.max_memory_allocated() / GB if torch.cuda.is_available() else 0.0


def peak_of(backbone: str, frames: int, checkpointing: bool, clips: int) -> str:
    """The name of the line that holds the peak memory of a training, so that a prediction can be shown beside it."""
    state = "on" if checkpointing else "off"
    return f"{backbone}, {frames} frames, checkpointing {state}: peak memory with {clips} clips"


def product_flops(size: Size) -> float:
    """Floating-point operations per second of a large product of random bf16 matrices."""
    n = size.matrix
    a, b = (torch.randn(n, n, device=models.device()).bfloat16() for _ in range(2))

    def products(times: int) -> None:
        for _ in range(times):
            a @ b
        wait()

    products(3)
    return 2 * n**3 * 10 / seconds(lambda: products(10))


def device(lines: Lines, size: Size) -> None:
    """The two reference numbers: matrix products, and copies within memory."""
    lines.measured(f"product of bf16 matrices of {size.matrix} rows", product_flops(size) / 1e12, "TFLOP/s")
    source = torch.empty(size.matrix**2 * 16, dtype=torch.uint8, device=models.device())
    target = torch.empty_like(source)

    def copies(times: int) -> None:
        for _ in range(times):
            target.copy_(source)
        wait()

    copies(2)
    rate = 2 * source.numel() * 10 / seconds(lambda: copies(10))
    lines.measured("copy on the device, bytes read and written", rate / 1e9, "GB/s")


def training(lines: Lines, size: Size) -> None:
    """VidPrism on every backbone and clip length, with and without checkpointing, with as many clips as fit."""
    product = product_flops(size)
    for tower in size.fast:
        models.forget()
        for checkpointing in (False, True):
            what = f"{tower.name}, {tower.frames} frames, checkpointing {'on' if checkpointing else 'off'}"
            with lines.guarded(what):
                batch_size, took = _largest(size, tower, checkpointing)
                note = f"{batch_size} clips an update"
                lines.measured(f"{what}: training", batch_size / took, "clips/s", note)
                lines.measured(peak_of(tower.name, tower.frames, checkpointing, batch_size), peak_gb(), "GB")
                macs = complexity.count(METHOD, tower.name, tower.frames, n_classes=size.n_classes, key=tower.key).macs
                share = 2 * macs * PASSES * batch_size / took / product
                said = f"{what}: share of the matrix product's speed"
                if (tower.name, tower.frames) == (models.B16, 8):
                    lines.goal(said, share, GOALS[checkpointing], note=note)
                else:
                    lines.measured(said, share, note=note)
                for clips in (n for n in PREDICTED if n < batch_size):
                    peak = _peak_bytes(size, tower, clips, checkpointing) / GB
                    lines.measured(peak_of(tower.name, tower.frames, checkpointing, clips), peak, "GB")


def _largest(size: Size, tower: Tower, checkpointing: bool) -> tuple[int, float]:
    """The number of clips that fit, a power of two, and the seconds of an update with them."""
    most = size.most_frames // tower.frames
    if torch.cuda.is_available():
        small, large = (_peak_bytes(size, tower, n, checkpointing) for n in (2, 4))
        room = FILLED * torch.cuda.mem_get_info()[1] - small
        most = min(most, int(2 + 2 * room / (large - small)))
    batch_size = 2 ** (most.bit_length() - 1)
    while True:
        try:
            return batch_size, updates(size, tower, batch_size, grad_checkpointing=checkpointing).seconds(size.updates)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size //= 2


def _peak_bytes(size: Size, tower: Tower, batch_size: int, checkpointing: bool) -> float:
    updates(size, tower, batch_size, grad_checkpointing=checkpointing).run(2)
    return GB * peak_gb()


def each_method(lines: Lines, size: Size) -> None:
    """Every trained method on the first backbone, with one batch for all."""
    tower = size.fast[0]
    batch_size = max(2, size.most_frames // tower.frames // 4)
    for method in methods.on_features():
        what = f"{method} on {tower.name}, {tower.frames} frames"
        if not methods.is_trained(method):
            continue
        with lines.guarded(what):
            try:
                methods.check_track(method, "tuned")
                made = updates(size, tower, batch_size, method)
            except ConfigError as why:
                lines.skipped(what, str(why))
                continue
            note = f"{batch_size} clips an update, checkpointing off"
            lines.measured(f"{what}: training", batch_size / made.seconds(size.updates), "clips/s", note)
            lines.measured(f"{what}: peak memory", peak_gb(), "GB", note)


def views(lines: Lines, size: Size) -> None:
    """Scoring with all views of the paper's protocol, in parts of `train.views_per_batch`."""
    tower = size.scored
    forget()
    model = models.build(tower, METHOD, size.n_classes)
    accelerator(Tuning()).prepare_model(model.eval(), evaluation_mode=True)
    side = models.noise(tower, 1, size.n_classes).shape[1]
    clips_NVTSS3 = torch.randint(0, 256, (4, VIEWS, tower.frames, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        score._score(model, clips_NVTSS3[:1], VIEWS_AT_ONCE)
        took = seconds(lambda: score._score(model, clips_NVTSS3, VIEWS_AT_ONCE))
    what = f"scoring on {tower.name}, {tower.frames} frames x {VIEWS} views, {VIEWS_AT_ONCE} views at once"
    lines.measured(what, len(clips_NVTSS3) / took, "videos/s")
    lines.measured(f"{what}: peak memory", peak_gb(), "GB")
