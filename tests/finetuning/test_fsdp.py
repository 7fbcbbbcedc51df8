"""A sharded model in two processes: the numbers of one process, whole weights, and resumed states."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed.tensor import DTensor

from tests.finetuning.test_checkpoint import Stopped
from tests.finetuning.test_loop import damage
from tests.training.toy import DIM, VividBackbone, changed, make_config, make_row
from vidprism import backbones
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import Config, paths
from vidprism.finetuning import checkpoint, loop
from vidprism.finetuning.blocks import units
from vidprism.finetuning.fsdp import sharded
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.loader import Clips
from vidprism.finetuning.model import EndToEnd
from vidprism.records import scores
from vidprism.runs import train
from vidprism.runtime.errors import TrainingError
from vidprism.training.inputs import training_sets
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe, Tuning

pytestmark = pytest.mark.slow

FILES = ("weights/ucf101_k2.safetensors", "scores.npz")
METHODS = ("mean_pool", "vidprism_c", "vidprism_c_released")


class DeepBackbone(VividBackbone):
    """A toy with two blocks and a scale that belongs to none of its modules."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module = nn.Sequential(self.module, nn.Linear(DIM, DIM), nn.Sequential(nn.Tanh(), nn.Linear(DIM, DIM)))
        self.module.register_parameter("scale", nn.Parameter(torch.ones(3)))

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        return super().encode_frames(frames) * self.module.scale.mean()

    def blocks(self) -> list[tuple[str, list[nn.Parameter]]]:
        stem, *rest = self.module
        parts = [("stem", [self.module.scale, *stem.parameters()])]
        return parts + [(f"block_{i}", list(block.parameters())) for i, block in enumerate(rest)]


def load(spec: object, device: str = "cpu") -> DeepBackbone:
    return DeepBackbone()


def row_of(method: str, n: int) -> object:
    return make_row(method, key=f"{method}-on-{n}", updates=10, repeats=(0,))


@contextmanager
def stopping(after: int) -> Iterator[None]:
    """The power goes out after so many saved states."""
    save, count = checkpoint.Keeper.save, iter(range(10**6))

    def saving(self: checkpoint.Keeper, state: checkpoint.State) -> None:
        save(self, state)
        if next(count) + 1 == after:
            raise Stopped

    checkpoint.Keeper.save = saving
    try:
        with pytest.raises(Stopped):
            yield
    finally:
        checkpoint.Keeper.save = save


@contextmanager
def norms_seen() -> Iterator[list[float]]:
    """The gradient norms of every training in here."""
    found, update = [], loop._Loop._update

    def noting(self: loop._Loop, *batch: torch.Tensor) -> None:
        update(self, *batch)
        found.append(self.norms[self.step - 1].item())

    loop._Loop._update = noting
    try:
        yield found
    finally:
        loop._Loop._update = update


def result(config: Config, key: str) -> tuple[list[bytes], list]:
    """Weights and scores, and the cells of the record: its version is of the modules that a process has loaded."""
    folder = paths.run(config, "few_shot", key)
    return [(folder / name).read_bytes() for name in FILES], json.loads((folder / "record.json").read_text())["cells"]


def parts_of(config: Config) -> list[int]:
    """Elements of the parameters that this process holds, those of the whole model, and how many blocks are units."""
    inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    job = Job("mean_pool", {}, "plain", Recipe(1, 4, 0.01, 0.0, 0.1), [], [0], "test", "here")
    model = EndToEnd(DeepBackbone(), job.build(inputs, 0), Tuning(strategy="fsdp"))
    copy = sharded(model)
    assert all(isinstance(p, DTensor) for p in copy.parameters())
    assert not any(isinstance(p, DTensor) for p in model.parameters())
    held = sum(p.to_local().numel() for p in copy.parameters())
    return [held, sum(p.numel() for p in model.parameters()), len(copy.visual_units)]


def cut_row(key: str) -> object:
    return make_row("mean_pool", key=key, updates=10, repeats=(0,))


def work(rank: int, port: int, config: Config, damaged: Config, out: Path) -> None:
    """One of two processes."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    backbones.load_backbone = load
    torch.set_num_threads(1)
    fsdp = changed(config, strategy="fsdp")
    with norms_seen() as norms:
        records = {method: train.train_here(fsdp, row_of(method, 2)) for method in METHODS}
    for strategy in ("ddp", "fsdp"):
        train.train_here(changed(damaged, strategy=strategy, accumulate=2), cut_row(f"cut-{strategy}"))
    row, taken_up = row_of("vidprism_c", 2), []
    whole = result(fsdp, row.key)
    for updates in (4, 10):
        with stopping(updates):
            train.train_here(changed(fsdp, save_every=1), row)
        (state,) = paths.work(fsdp, row.group, row.key).glob("*.states/*.pt")
        kept = checkpoint.Keeper(state, 1).load()
        assert not any(isinstance(value, DTensor) for value in kept["parameters"])
        train.train_here(fsdp, row)
        taken_up.append([kept["step"], result(fsdp, row.key) == whole])
    found = {"records": records, "norms": norms, "taken_up": taken_up, "held": parts_of(config)}
    (out / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = changed(make_config(tmp_path_factory.mktemp("root")), save_every=0, ema_decay=0.5)
    written = paths.search(config, "vidprism_c", "mini_clip").read_text()
    paths.search(config, "vidprism_c_released", "mini_clip").write_text(written)
    return config


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Data with one unreadable training clip."""
    config = changed(make_config(tmp_path_factory.mktemp("damaged")), bad_share=0.2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backbones, "load_backbone", load)
        inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    (chosen,) = training_sets(config, "ucf101", inputs, 2, (0,))
    damage(config, Clips(inputs, chosen.positions), 3)
    return config


@pytest.fixture(scope="module")
def together(config: Config, damaged: Config, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes found."""
    out = tmp_path_factory.mktemp("out")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port, config, damaged, out), nprocs=2)
    return [json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "load_backbone", load)


def test_training_is_that_of_one_process(config: Config, together: list[dict], alone: None) -> None:
    with norms_seen() as norms:
        for method in METHODS:
            one = train.train_here(config, row_of(method, 1))
            two = together[0]["records"][method]
            assert two == together[1]["records"][method]
            (a,), (b,) = one["cells"], two["cells"]
            assert (a["n_scored"], a["n_listed"], a["unreadable"]) == (b["n_scored"], b["n_listed"], b["unreadable"])
            np.testing.assert_allclose(b["curve"]["loss"], a["curve"]["loss"], atol=1e-4)
            alone, shared = (
                scores.load_scores(paths.run(config, "few_shot", f"{method}-on-{n}") / "scores.npz", "ucf101_k2")
                for n in (1, 2)
            )
            np.testing.assert_allclose(shared.logits, alone.logits, atol=1e-3)
    assert len(norms) == 10 * len(METHODS)
    for found in together:  # of the whole gradient, not of the process's shards
        np.testing.assert_allclose(found["norms"], norms, rtol=1e-3)


def check_weights(config: Config, key: str, other: str) -> None:
    one, two = (load_file(paths.run(config, "few_shot", k) / "weights/ucf101_k2.safetensors") for k in (key, other))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=1e-3)


def test_stored_weights_are_whole(config: Config, together: list[dict], alone: None) -> None:
    train.train_here(config, row_of("mean_pool", 1))
    check_weights(config, "mean_pool-on-1", "mean_pool-on-2")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_micro_batches_of_two_processes_are_a_batch(
    damaged: Config, together: list[dict], alone: None, strategy: str
) -> None:
    """With a clip that could not be read, which is half of a micro-batch."""
    record = train.train_here(damaged, cut_row("whole"))
    assert len(record["cells"][0]["repeats"][0]["failed_videos"]) == 1
    path = paths.run(damaged, "few_shot", f"cut-{strategy}") / "record.json"
    (cut,), (whole,) = json.loads(path.read_text())["cells"], record["cells"]
    np.testing.assert_allclose(cut["curve"]["loss"], whole["curve"]["loss"], atol=1e-4)
    check_weights(damaged, "whole", f"cut-{strategy}")


def test_a_state_is_taken_up_to_the_same_bits(together: list[dict]) -> None:
    for found in together:
        assert found["taken_up"] == [[4, True], [10, True]]


def test_each_process_holds_a_part(together: list[dict]) -> None:
    (first, total, n_units), (second, _, _) = (found["held"] for found in together)
    assert first + second == total and abs(first - second) < 0.2 * total
    assert n_units == 2


def test_blocks_are_units() -> None:
    made = ClipBackbone(create("mini_clip", seed=3), None)
    assert units(made) == list(made.module.transformer.resblocks)


def test_one_process_holds_no_shards(config: Config, alone: None) -> None:
    with pytest.raises(TrainingError, match=r"strategy fsdp needs several processes .* set train.devices to 2 or more"):
        train.train_here(changed(config, strategy="fsdp"), make_row("mean_pool"))
