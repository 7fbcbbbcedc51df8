"""The loop with bad data and bad numbers: what is skipped, what stops it, and the messages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.config import Config, paths
from vidprism.finetuning import loop
from vidprism.finetuning.inputs import Reading, VideoInputs
from vidprism.finetuning.loader import Clips
from vidprism.finetuning.model import EndToEnd
from vidprism.runs import train
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe, Tuning

pytestmark = pytest.mark.slow

RECIPE = Recipe(6, 4, 0.01, 0.0, 0.1, backbone_lr_scale=0.5)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return make_config(tmp_path)


def model_and_clips(config: Config, n: int = 8) -> tuple[EndToEnd, Clips]:
    inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    job = Job("mean_pool", {}, "plain", RECIPE, [], [0], "test", "here")
    return EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0)), Clips(inputs, np.arange(n))


def damage(config: Config, dataset: Clips, which: int) -> str:
    path = dataset.name(which)
    (paths.dataset_root(config, "ucf101") / "videos" / path).write_bytes(b"no video")
    return path


def fit(model: EndToEnd, dataset: Clips, recipe: Recipe = RECIPE, **reading: object) -> loop.Fitted:
    return loop.fit(model, dataset, recipe, 4, 0, "here", Reading(**reading))


def test_a_clip_that_fails_counts_for_nothing(config: Config) -> None:
    """The objective is that of the others; no other clip takes its place."""
    model, dataset = model_and_clips(config)
    order = loop.batch_order(8, 4, 6, 0)
    bad = int(order[0, 1])
    frames = {i: dataset[i] for i in order[0].tolist() if i != bad}
    with torch.no_grad():
        wanted = model(torch.stack([f[0] for f in frames.values()]), torch.tensor([f[1] for f in frames.values()]))
    path = damage(config, dataset, bad)
    dataset.inputs._clips.clear()
    found = fit(model, dataset, bad_share=0.2)
    assert found.losses[0] == pytest.approx(wanted.item(), rel=1e-5) and np.isfinite(found.losses).all()
    assert list(found.failed) == [path] and found.failed[path]


@pytest.mark.parametrize("workers", [0, 1])
def test_more_failures_than_allowed_stop_with_the_list(config: Config, workers: int) -> None:
    model, dataset = model_and_clips(config)
    bad = sorted(damage(config, dataset, i) for i in (1, 6))
    with pytest.raises(TrainingError, match=r"here, repeat 0: [12] of 8 training videos could not be read") as error:
        fit(model, dataset, bad_share=0.2, workers=workers, limit_sec=30.0)
    assert "train.bad_share allows a share of 0.2" in str(error.value)
    assert all(path in str(error.value) for path in bad)


def test_a_batch_of_failures_stops(config: Config) -> None:
    model, dataset = model_and_clips(config, 4)
    for i in range(4):
        damage(config, dataset, i)
    with pytest.raises(TrainingError, match=r"could not be read by update 0, .* and no whole batch"):
        fit(model, dataset, bad_share=0.9)


def test_the_record_names_what_failed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    _, dataset = model_and_clips(config, 18)
    row = make_row("mean_pool", shots=(None,), repeats=(0,), updates=12)
    usable = VideoInputs(config, "ucf101", 8, "mini_clip").usable("train")
    path = damage(config, dataset, int(np.flatnonzero(usable)[0]))
    record = train.train_here(changed(config, bad_share=0.2), row)
    (repeat,) = record["cells"][0]["repeats"]
    assert [found["path"] for found in repeat["failed_videos"]] == [path]
    assert repeat["clips_seen"] == int(usable.sum()) - 1


def poisoned(monkeypatch: pytest.MonkeyPatch, what: str, updates: set[int]) -> None:
    """The loss or the gradient of some updates is not finite."""
    forward, count = EndToEnd.forward, iter(range(10**6))

    def spoiled(self: EndToEnd, frames: torch.Tensor, labels: torch.Tensor | None = None) -> object:
        found = forward(self, frames, labels)
        if labels is None or next(count) not in updates:
            return found
        # at 0 the square root is finite and its slope is not
        return found * torch.nan if what == "loss" else found + (0 * self.head.classifier.bias.sum()).sqrt()

    monkeypatch.setattr(EndToEnd, "forward", spoiled)


@pytest.mark.parametrize(("what", "words"), [("loss", "the loss is nan"), ("gradient", "the gradient's norm is nan")])
def test_a_number_that_is_not_finite_names_update_and_videos(
    config: Config, monkeypatch: pytest.MonkeyPatch, what: str, words: str
) -> None:
    model, dataset = model_and_clips(config)
    poisoned(monkeypatch, what, {3})
    with pytest.raises(TrainingError) as error:
        fit(model, dataset)
    named = [dataset.name(int(i)) for i in loop.batch_order(8, 4, 6, 0)[3]]
    assert f"here, repeat 0: {words} at update 4, of {', '.join(named)}. " in str(error.value)
    assert "no state was saved" in str(error.value)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_it_can_be_skipped_and_is_counted(config: Config, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    model, dataset = model_and_clips(config)
    poisoned(monkeypatch, what, {3})
    skip = replace(RECIPE, tuned=Tuning(non_finite="skip"))
    found = fit(model, dataset, skip)
    assert np.isnan(found.losses).tolist() == [False, False, False, True, False, False]
    assert found.skipped == [[dataset.name(int(i)) for i in loop.batch_order(8, 4, 6, 0)[3]]]
    assert all(torch.isfinite(p).all() for p in model.parameters())
    poisoned(monkeypatch, what, {1, 2})
    with pytest.raises(
        TrainingError, match="2 updates had a loss or gradient that is not finite, the last one update 3"
    ):
        fit(model_and_clips(config)[0], dataset, skip)


def test_skipped_updates_are_in_the_record(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, "loss", {3})
    row = make_row("mean_pool", repeats=(0,), updates=12)
    record = train.train_here(changed(config, non_finite="skip"), row)
    (repeat,) = record["cells"][0]["repeats"]
    assert len(repeat["skipped_updates"]) == 1 and len(repeat["skipped_updates"][0]) == 4
    assert repeat["loss_last"] is not None and record["cells"][0]["curve"]["loss"]
