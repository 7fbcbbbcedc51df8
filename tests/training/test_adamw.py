"""The functional AdamW against torch's own class."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidprism.training.adamw import AdamW

ROOT = Path(__file__).resolve().parents[2]


def test_equals_torchs_adamw_bit_for_bit() -> None:
    start = [torch.randn(4, 3), torch.randn(5), torch.randn(2)]
    target = [torch.randn_like(p) for p in start]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))

    def groups(parameters: list[torch.Tensor]) -> list[dict]:
        first = {"params": parameters[:1], "lr": 0.1, "weight_decay": 0.05}
        return [first, {"params": parameters[1:], "lr": 0.02, "weight_decay": 0.0}]

    mine, reference = AdamW(groups(ours)), torch.optim.AdamW(groups(theirs), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(reference, lambda step: 1 / (step + 1))
    for step in range(6):
        for parameters in (ours, theirs):  # the last parameter never gets a gradient
            sum(((p - t) ** 2).sum() for p, t in zip(parameters[:2], target, strict=False)).backward()
        mine.step(1 / (step + 1))
        reference.step()
        schedule.step()
        reference.zero_grad()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b) and a.grad is None
    assert torch.equal(ours[2], start[2]) and not torch.equal(ours[0], start[0])


@pytest.mark.slow
def test_training_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch; from vidprism.training.adamw import AdamW; p = torch.ones(2, requires_grad=True); "
        "o = AdamW([{'params': [p], 'lr': 0.1, 'weight_decay': 0.0}]); p.sum().backward(); o.step(); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
