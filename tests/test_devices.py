"""Faults of device and of precision in every method, found without a GPU.

Fake CUDA tensors run the forward pass and the objective; the CPU trains under bf16 autocast against float32. What only
a GPU shows (backward on the device, the scaler of fp16, CUDA's generators) is the part of tools/gpu_check.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from tests.training.toy import DIM, SIZE, ToyBackbone
from tools.gpu_check import models
from tools.gpu_check.fake import fake_values
from tools.gpu_check.models import MINI, Noise, Tower
from vidprism import methods
from vidprism.config import ConfigError
from vidprism.finetuning import loop
from vidprism.finetuning.model import EndToEnd
from vidprism.methods import Output, Task
from vidprism.training import frozen
from vidprism.training.adamw import AdamW
from vidprism.training.recipe import Recipe, Tuning, parameter_groups

pytestmark = pytest.mark.slow

KEYS = methods.on_features()
TRAINED = [key for key in KEYS if methods.is_trained(key)]
TUNED = [key for key in KEYS if methods.load_method(key).SEARCHED != "c"]  # the tuned track refuses the others
R, B, T, C = 2, 4, 8, 3
HALF = 0.05  # bf16 has 8 bits: 0.4 % a number, more where numbers cancel


def task() -> Task:
    texts = nn.functional.normalize(torch.randn(C, DIM, generator=torch.Generator().manual_seed(2)), dim=1)
    return Task(DIM, C, T, texts, 10.0)


class Linear(nn.Module):
    """The simplest head, with something wrong between its features (B, D) and its classifier."""

    def __init__(self, wrong: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.classifier, self.wrong = nn.Linear(DIM, C), wrong

    def forward(self, features_BTD: Tensor) -> Output:
        fused = self.wrong(features_BTD.mean(dim=1))
        return Output(self.classifier(fused), fused)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        return {"total": nn.functional.cross_entropy(output.logits, labels_B)}


# --- devices ----------------------------------------------------------------------------------------------------------


def objective_on_gpu(made: list[nn.Module]) -> None:
    """The frozen track's objective on fake CUDA tensors."""
    stack = frozen.Stack(made, "cuda")
    stack.module.train()
    features = torch.randn(R, B, T, DIM, device="cuda")
    seen = stack.objective(features, torch.zeros(R, B, dtype=torch.int64, device="cuda"))
    assert {value.device.type for value in seen.values()} == {"cuda"}


@pytest.mark.parametrize("key", TRAINED)
def test_the_frozen_track_stays_on_the_gpu(key: str) -> None:
    with fake_values():
        objective_on_gpu([methods.build(key, task(), {}, seed) for seed in range(R)])


@pytest.mark.parametrize("tower", MINI, ids=lambda tower: tower.name)
@pytest.mark.parametrize("key", TUNED)
def test_the_tuned_track_stays_on_the_gpu(key: str, tower: Tower) -> None:
    with fake_values():
        backbone = models.load(tower, "cuda")
        try:
            model = models.assemble(backbone, tower, key, C, on="cuda")
        except ConfigError as why:
            assert tower.name == "mini_videomae" and "texts" in str(why)
            return
        size = backbone.image_size
        clips = torch.zeros(B, tower.frames, size, size, 3, dtype=torch.uint8, device="cuda")
        assert model.eval()(clips).logits.device.type == "cuda"
        if methods.is_trained(key):
            labels = torch.zeros(B, dtype=torch.int64, device="cuda")
            assert model.train()(clips, labels).device.type == "cuda"


def test_a_tensor_left_on_the_cpu_is_found() -> None:
    with fake_values(), pytest.raises(Exception, match="device"):
        left = torch.ones(DIM)  # no buffer, so that it does not move with its module
        objective_on_gpu([Linear(lambda x: x * left) for _ in range(R)])


# --- precision --------------------------------------------------------------------------------------------------------


def error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def stacked(made: list[nn.Module], half: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Objective, gradient and update of the frozen track."""
    stack = frozen.Stack(made, "cpu")
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(R, B, T, DIM, generator=generator), torch.arange(B).remainder(C).expand(R, B)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        total = stack.module.train() and stack.objective(features, labels)["loss/total"]
    total.sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in stack.parameters.values() if p.grad is not None])
    before = torch.cat([p.detach().flatten() for p in stack.parameters.values()])
    AdamW(parameter_groups(stack.parameters.values(), Recipe(1, B, 0.01, 0.0, 0.1), stacked=True)).step()
    after = torch.cat([p.detach().flatten() for p in stack.parameters.values()])
    assert gradient.dtype == after.dtype == torch.float32 and torch.isfinite(after).all()
    return total.detach().float(), gradient, after - before


def tuned(head: Callable[[], nn.Module], half: bool) -> tuple[Tensor, Tensor]:
    """Losses of three updates of the tuned track, and the weights after them, through its own loop."""
    AcceleratorState._reset_state()
    settings = Tuning(precision="bf16" if half else "fp32")
    model = EndToEnd(ToyBackbone(), head(), settings)
    recipe = models.recipe(B, 3, settings)
    losses = loop.fit(model, Noise(2 * B, T, SIZE, C), recipe, B, 0, "here").losses
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert weights.dtype == torch.float32 and np.isfinite(losses).all() and torch.isfinite(weights).all()
    return torch.from_numpy(losses), weights


@pytest.mark.parametrize("key", TRAINED)
def test_half_precision_costs_little_on_the_frozen_track(key: str) -> None:
    made = [[methods.build(key, task(), {}, seed) for seed in range(R)] for _ in range(2)]
    rounded, exact = stacked(made[0], True), stacked(made[1], False)
    assert error(rounded[0], exact[0]) < HALF and error(rounded[1], exact[1]) < 2 * HALF
    assert not torch.equal(rounded[1], exact[1]), "nothing was computed in bf16"


@pytest.mark.parametrize("key", [key for key in TUNED if key in TRAINED])
def test_half_precision_costs_little_on_the_tuned_track(key: str) -> None:
    rounded, exact = (tuned(lambda: methods.build(key, task(), {}, 0), half) for half in (True, False))
    assert error(rounded[0], exact[0]) < HALF and error(rounded[1], exact[1]) < HALF
    assert not torch.equal(rounded[0], exact[0]), "nothing was computed in bf16"


def halves_written_into_a_table(x_BD: Tensor) -> Tensor:
    table = torch.zeros_like(x_BD, dtype=torch.float32)
    table[torch.arange(len(x_BD))] = x_BD @ torch.eye(DIM)  # a product is bf16 here, the table is not
    return table


def test_a_mixture_of_precisions_is_found() -> None:
    with pytest.raises(RuntimeError, match="dtype"):
        stacked([Linear(halves_written_into_a_table) for _ in range(R)], True)
    with pytest.raises(RuntimeError, match="dtype"):
        tuned(lambda: Linear(halves_written_into_a_table), True)


def test_a_loss_of_digits_is_found() -> None:
    rounded, exact = (
        tuned(lambda: Linear(lambda x: (x @ torch.eye(DIM) + 1000) - 1000), half) for half in (True, False)
    )
    assert error(rounded[1], exact[1]) > HALF or error(rounded[0], exact[0]) > HALF
