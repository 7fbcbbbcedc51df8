"""A batch in micro-batches: the gradient of the whole batch, whichever clips could not be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from tests.finetuning.test_loop import RECIPE, damage, fit
from tests.training.toy import SIZE, VividBackbone, changed, make_config, make_row
from vidprism import backbones, methods
from vidprism.config import Config
from vidprism.finetuning import microbatches
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.loader import Clips
from vidprism.finetuning.model import EndToEnd
from vidprism.runs import train
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import Job
from vidprism.training.recipe import Tuning, batch_order

pytestmark = pytest.mark.slow

UNCOUPLED = [("mean_pool", {}), ("temporal_transformer", {}), ("vidprism_c", {"lambda_gate": 0})]
LABELS = {
    "all": [0, 1, 2, 0, 1, 2, 0, 1],
    "one failed": [0, -1, 2, 0, 1, 2, 0, 1],
    "a micro-batch failed": [-1, -1, 2, 0, -1, 2, 0, 1],
    "the last one failed": [0, 1, 2, 0, -1, 2, -1, -1],
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": VividBackbone())
    return make_config(tmp_path)


def model_of(config: Config, method: str, options: dict) -> tuple[EndToEnd, VideoInputs]:
    inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    job = Job(method, methods.resolve(method, options, 8), "plain", RECIPE, [], [0], "test", "here")
    return EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0)), inputs


def gradient(model: EndToEnd, labels: list[int], n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The objective, and the gradient of all parameters in a row."""
    quarters = torch.randint(256, (8, 8, 2, 2, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    frames = quarters.repeat_interleave(SIZE // 2, 2).repeat_interleave(SIZE // 2, 3)
    model.zero_grad()
    loss = microbatches.backward(Accelerator(), model.train(), frames, torch.tensor(labels), n)
    return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize(("method", "options"), UNCOUPLED)
def test_gradients_add_up_to_that_of_the_batch(config: Config, method: str, options: dict) -> None:
    assert methods.batch_terms(method, methods.resolve(method, options, 8)) == []
    model, _ = model_of(config, method, options)
    for labels, n in itertools.product(LABELS.values(), (2, 4)):
        loss, whole = gradient(model, labels, 1)
        loss_of_parts, of_parts = gradient(model, labels, n)
        torch.testing.assert_close(loss_of_parts, loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(of_parts, whole, rtol=1e-4, atol=1e-6 * whole.abs().max().item())


@pytest.mark.parametrize("method", ["vidprism_c", "vidprism_c_released"])
def test_what_looks_at_the_batch_sees_its_micro_batch(config: Config, method: str) -> None:
    model, _ = model_of(config, method, {})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # as it begins all experts are used alike, in a micro-batch too
        for parameter in model.head.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    _, whole = gradient(model, LABELS["all"], 1)
    _, of_parts = gradient(model, LABELS["all"], 4)
    assert (of_parts - whole).abs().max() > 1e-5 * whole.abs().max()


@pytest.mark.parametrize("n_failed", [0, 1])
@pytest.mark.parametrize(("method", "options"), UNCOUPLED)
def test_a_training_is_that_of_whole_batches(config: Config, method: str, options: dict, n_failed: int) -> None:
    found = {}
    for n in (1, 2, 4):
        model, inputs = model_of(config, method, options)
        dataset = Clips(inputs, np.arange(8))
        for i in batch_order(8, 4, 1, 0)[0, :n_failed]:  # with 4 a micro-batch of its own
            damage(config, dataset, int(i))
        fitted = fit(model, dataset, replace(RECIPE, tuned=Tuning(accumulate=n)), bad_share=0.2)
        assert len(fitted.failed) == n_failed
        found[n] = fitted.losses, model.visual.weight.detach()
    for n in (2, 4):
        np.testing.assert_allclose(found[n][0], found[1][0], rtol=1e-4)
        torch.testing.assert_close(found[n][1], found[1][1], rtol=1e-3, atol=1e-4)


def test_the_record_names_what_saw_micro_batches_alone(config: Config) -> None:
    row = make_row("vidprism_c", updates=1, repeats=(0,), batch_size=4)
    record = train.train_here(changed(config, accumulate=2), row)
    assert record["config"]["train"]["seen_by_micro_batches"] == ["lambda_gate"]
    assert "seen_by_micro_batches" not in train.train_here(config, row)["config"]["train"]


def test_an_update_of_failures_stops(config: Config) -> None:
    model, _ = model_of(config, "mean_pool", {})
    for n in (1, 2, 4):
        with pytest.raises(TrainingError, match="no clip of a batch could be read"):
            gradient(model, [-1] * 8, n)


def test_gradients_are_averaged_after_the_last_that_is_left(config: Config) -> None:
    model, _ = model_of(config, "mean_pool", {})
    seen: list[str] = []

    class Wrapped(torch.nn.Module):
        def forward(self, frames: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            seen.append("forward")
            return model(frames, labels)

        @contextmanager
        def no_sync(self) -> Iterator[None]:
            seen.append("apart")
            yield
            seen.append("end")

    frames, apart = torch.zeros(8, 8, SIZE, SIZE, 3, dtype=torch.uint8), ["apart", "forward", "end"]
    for labels, n_apart in (("all", 3), ("the last one failed", 2)):
        seen.clear()
        microbatches.backward(Accelerator(), Wrapped(), frames, torch.tensor(LABELS[labels]), 4)
        assert seen == [*apart * n_apart, "forward"]


def test_a_batch_that_cannot_be_cut_is_refused(config: Config) -> None:
    with pytest.raises(TrainingError, match=r"train.accumulate 3 cannot evenly cut the 4 clips .* that divides 4"):
        train.train_here(changed(config, accumulate=3), make_row("mean_pool"))
