"""Several processes that share a row: nothing scored twice, the same numbers, one writer; and what is refused."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.synthetic_store import small_config, write_choice, write_store
from tests.training.toy import ToyBackbone, changed, make_config, make_row
from vidprism import backbones, methods
from vidprism.config import Config, paths
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.model import EndToEnd
from vidprism.finetuning.track import predict
from vidprism.records import scores
from vidprism.runs import train
from vidprism.runtime import processes
from vidprism.runtime.errors import TrainingError
from vidprism.search import search
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe

pytestmark = pytest.mark.slow

ODD = 1  # the test video that does not decode: 11 of 12 are left


def scored(config: Config, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an untrained head whose gate looks at the batch, from groups of two videos."""
    inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    inputs.views_per_batch = 4
    options = methods.resolve("vidprism_c_released", {}, 8)
    job = Job("vidprism_c_released", options, "plain", Recipe(0, 1, 0.0, 0.0, 0.0), [], [0], split, "here")
    model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
    return predict(model, inputs, split, np.flatnonzero(inputs.usable(split)))


def work(rank: int, port: int, config: Config, out: Path) -> None:
    """One of two processes."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    backbones.load_backbone = lambda spec, device="cpu": ToyBackbone()
    torch.set_num_threads(1)
    rows = (make_row("mean_pool", key="two"), make_row("clip_zeroshot", key="two-zeroshot"))
    records = [train.train_here(config, row) for row in rows]
    refused = []
    with pytest.raises(TrainingError) as error:
        train.train_here(config, make_row("mean_pool", batch_size=3))
    refused.append(str(error.value))
    logits, experts = scored(config, "test")
    np.savez(out / f"{rank}.npz", logits=logits, experts=experts)
    (out / f"{rank}.json").write_text(json.dumps({"records": records, "refused": refused}))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = changed(make_config(tmp_path_factory.mktemp("root")), batch_size=4, ema_decay=0.5)
    videos = paths.dataset_root(config, "ucf101") / "videos"
    listed = (paths.manifest(config, "ucf101") / "manifest.csv").read_text().splitlines()
    test = [part for line in listed if ",test," in line for part in line.split(",") if part.endswith(".avi")]
    (videos / test[ODD]).write_bytes(b"no video")
    return config


@pytest.fixture(scope="module")
def together(config: Config, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes found."""
    out = tmp_path_factory.mktemp("out")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port, config, out), nprocs=2)
    return [{**json.loads((out / f"{r}.json").read_text()), **np.load(out / f"{r}.npz")} for r in (0, 1)]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())


def test_scores_are_those_of_one_process(config: Config, together: list[dict], alone: None) -> None:
    logits, experts = scored(config, "test")
    assert logits.shape == (11, 2, 3)
    for found in together:
        np.testing.assert_array_equal(found["logits"], logits)
        np.testing.assert_array_equal(found["experts"], experts)
    row = make_row("clip_zeroshot", key="one-zeroshot")
    train.train_here(config, row)
    one, two = (
        scores.load_scores(paths.run(config, "few_shot", key) / "scores.npz", "ucf101_k2")
        for key in ("one-zeroshot", "two-zeroshot")
    )
    np.testing.assert_array_equal(one.logits, two.logits)


def test_training_is_that_of_one_process(config: Config, together: list[dict], alone: None) -> None:
    row = make_row("mean_pool", key="one")
    record = train.train_here(config, row)
    first, second = (found["records"][0] for found in together)
    assert first == second
    assert first["environment"]["world_size_asked"] == first["environment"]["world_size_obtained"] == 2
    (a,), (b,) = record["cells"], first["cells"]
    assert (a["n_scored"], a["unreadable"]) == (b["n_scored"], b["unreadable"]) and b["n_scored"] == 11
    np.testing.assert_allclose(a["curve"]["loss"], b["curve"]["loss"], atol=1e-4)
    one, two = (
        load_file(paths.run(config, "few_shot", key) / "weights/ucf101_k2.safetensors") for key in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=1e-3)


def test_what_several_processes_cannot_share_is_refused(together: list[dict]) -> None:
    (uneven,) = together[0]["refused"]
    assert "2 processes cannot evenly share a batch of 3 clips" in uneven


def test_terms_that_couple_a_batch_are_known() -> None:
    def terms(method: str, **options: object) -> list[str]:
        return methods.batch_terms(method, methods.resolve(method, options, 8))

    assert terms("mean_pool") == terms("temporal_transformer") == []
    assert terms("vidprism_c") == terms("vidprism_m") == ["lambda_gate"]
    assert terms("vidprism_c", lambda_gate=0) == []
    assert "gate_scope: batch_mean" in terms("vidprism_c_released")
    assert terms("clip_zeroshot") == ["its file has no `batch_terms`"]


@pytest.mark.parametrize("text", ["", "two", "0", "-1", "1.0", "²"])
def test_a_world_size_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", text)
    config = small_config(tmp_path)
    for run in (
        lambda: train.train_here(config, make_row("mean_pool")),
        lambda: search.search(config, "mean_pool", "mini_clip"),
    ):
        with pytest.raises(TrainingError, match=r"WORLD_SIZE is .*not a number of processes; unset it"):
            run()


def test_a_search_runs_in_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        TrainingError, match=r"search of mean_pool: 2 processes were started, but a search trains in a single process"
    ):
        search.search(small_config(tmp_path), "mean_pool", "mini_clip")


def test_a_launcher_that_sets_one_process_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    config = small_config(tmp_path)
    write_store(config)
    write_choice(config, "mean_pool", 0.01)
    row = replace(make_row("mean_pool"), track="frozen")
    assert train.train_here(config, row)["environment"]["world_size_asked"] == 1
    assert (processes.rank(), processes.world_size(), processes.gather(3)) == (0, 1, [3])
