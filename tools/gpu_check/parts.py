"""The parts of the check in the order in which they run, each with its time limit. Every part gets its own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from tools.gpu_check import feeding, mini, models, right, same_bits, speed, variants
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size


@dataclass(frozen=True)
class Part:
    """`beside` means that other such parts may run at the same time, because the part measures no time."""

    name: str
    run: Callable[[Lines, Size], None]
    limit_sec: float
    beside: bool = False


def parts(size: Size) -> list[Part]:
    """All parts; correctness comes before speed."""
    towers = [
        Part(f"right: {tower.name}", partial(right.clips, tower=tower), 150, beside=True)
        for tower in reversed(size.right)  # the largest takes longest and starts first
    ]
    return [
        *towers,
        Part("right: stacked repeats", right.heads, 60, beside=True),
        Part("right: the same bits", same_bits.repeated, 90, beside=True),
        Part("right: one process of a launcher", same_bits.launched, 150, beside=True),
        Part("fast: the device", speed.device, 30),
        Part("fast: training", speed.training, 200),
        Part("fast: a row of the mini profile", mini.of_mini, 90),
        Part("fast: each method", speed.each_method, 60),
        Part("fast: kernels", variants.kernels, 40),
        Part("fast: copies", variants.copies, 40),
        Part("fast: scoring", speed.views, 40),
        Part("fast: fed by decoding", feeding.decoding_beside, 90),
        Part("fast: settings", variants.settings, 120),
    ]


def run(name: str, toy: bool, path: Path, threads: int) -> None:
    """Run one part in its own process."""
    torch.set_num_threads(threads)
    size = models.TOY if toy else models.FULL
    (part,) = (part for part in parts(size) if part.name == name)
    part.run(Lines(name, path), size)
