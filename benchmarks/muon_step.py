"""One step of Muon on the matrices of the small VideoMAE and its decoder: the suite's compared with `torch.optim.Muon`.

torch's version takes one matrix after the other in bfloat16, and is shown with and without the CPU's instructions for
that type (oneDNN restricted to AVX2, in a separate process). The suite's takes all matrices of a shape together in
float32.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import torch

from vidprism.backbones.videomae import create
from vidprism.config import VideoPretrainConfig
from vidprism.pretraining.batch_parts import one_core_each
from vidprism.pretraining.masked_autoencoder import MaskedAutoencoder
from vidprism.pretraining.muon import Muon

MODEL = "mini_videomae"


def run(rounds: int = 20) -> dict[str, str]:
    """Milliseconds a step (least of `rounds`), and how many times as long as the suite's on one core."""
    ours_ms = {cores: _ours_ms(cores, rounds) for cores in (1, 2)}
    found = {f"the suite, {cores} at once": ms for cores, ms in ours_ms.items()}
    for name, variables in (("torch", {}), ("torch, AVX2", {"ONEDNN_MAX_CPU_ISA": "AVX2"})):
        environment = os.environ | variables | {"OMP_NUM_THREADS": "1"}
        program = f"from benchmarks.muon_step import torchs_ms; print(torchs_ms({rounds}))"
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        found[name] = float(done.stdout)
    return {name: f"{ms:.1f} ms, {ms / ours_ms[1]:.1f} x" for name, ms in found.items()}


def torchs_ms(rounds: int) -> float:
    """Least milliseconds of a step of torch's optimiser on one core."""
    torch.set_num_threads(1)
    return _least_ms(torch.optim.Muon(_matrices(), lr=0.02, momentum=0.8), rounds)


def _ours_ms(cores: int, rounds: int) -> float:
    cfg = VideoPretrainConfig()
    with one_core_each(cores) as run:
        muon = Muon(_matrices(), cfg.muon_lr, cfg.muon_weight_decay, cfg.muon_momentum, run, cores)
        return _least_ms(muon, rounds)


def _matrices() -> list[torch.nn.Parameter]:
    """The matrices of the layers, with a gradient each."""
    autoencoder = MaskedAutoencoder(create(MODEL, norm_tokens=True), VideoPretrainConfig())
    layers = torch.nn.ModuleList([autoencoder.encoder.model.encoder.layer, autoencoder.layers])
    matrices = [p for p in layers.parameters() if p.ndim == 2]
    for p in matrices:
        p.grad = torch.randn_like(p)
    return matrices


def _least_ms(optimizer: torch.optim.Optimizer, rounds: int) -> float:
    times_ms = []
    for _ in range(rounds):
        start_sec = time.perf_counter()
        optimizer.step()
        times_ms.append(1000 * (time.perf_counter() - start_sec))
    return min(times_ms)
