"""One step of VidPrism's five stacked repeats on cached features, on one core, and what its parts take.

A part is what a step saves without it: with hard sampling instead of RgSTA, without interaction, and so on. The floor
is the time of the step's matrix products at the speed of a product of 512.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from vidprism import methods
from vidprism.training.adamw import AdamW
from vidprism.training.frozen import Stack
from vidprism.training.recipe import Recipe, parameter_groups

REPEATS, BATCH, FRAMES, DIM, CLASSES = 5, 16, 32, 64, 12  # a cell of the profile mini
STEP_GFLOP = 0.97  # matrix products of a step, forward and backward
PARTS: dict[str, dict[str, Any]] = {
    "a step": {},
    "with hard sampling": {"aggregation": "hard"},
    "without interaction": {"interaction": "none"},
    "with both": {"aggregation": "hard", "interaction": "none"},
    "with mean read-out": {"combination": "avg"},
}


def run(rounds: int = 30) -> dict[str, str]:
    """Milliseconds a step (least of `rounds`, all kinds in turn), and the floor."""
    torch.set_num_threads(1)
    steps = {name: _step({"reading": "paper", **options}) for name, options in PARTS.items()}
    ms = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            ms[name] = min(ms[name], _ms(step))
    a, b = torch.randn(2, 512, 512)
    gflops = 2 * 512**3 / 1e6 / min(_ms(lambda: a @ b) for _ in range(rounds))
    floor_ms = 1000 * STEP_GFLOP / gflops
    found = {name: f"{value:.1f} ms" for name, value in ms.items()}
    return found | {
        "the floor": f"{floor_ms:.1f} ms at {gflops:.0f} GFLOP/s; a step is {ms['a step'] / floor_ms:.1f} x that"
    }


def _step(options: dict[str, Any]) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    task = methods.Task(DIM, CLASSES, FRAMES)
    stack = Stack([methods.build("vidprism_c", task, options, seed) for seed in range(REPEATS)], "cpu")
    stack.module.train()
    recipe = Recipe(300, BATCH, 0.003, 0.05, 0.1)
    optimizer = AdamW(parameter_groups(stack.parameters.values(), recipe, stacked=True))
    features = torch.randn(REPEATS, BATCH, FRAMES, DIM, generator=generator)
    labels = torch.randint(0, CLASSES, (REPEATS, BATCH), generator=generator)

    def step() -> None:
        stack.objective(features, labels)["loss/total"].sum().backward()
        optimizer.step(1.0)

    return step


def _ms(work: Callable[[], object]) -> float:
    start_sec = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start_sec)
