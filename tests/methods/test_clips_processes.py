"""Two processes train a method that sees clips as one process does, whatever the method draws."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods import test_clips_conformance as alone
from tests.methods.clips_world import KEYS
from vidprism.finetuning.loop import fit
from vidprism.runtime import processes
from vidprism.training.recipe import Recipe

pytestmark = pytest.mark.slow

RECIPE = Recipe(3, 8, 0.003, 0.0, 0.1)


def losses(key: str) -> np.ndarray:
    return fit(alone.model(key, n_steps=4), alone.Pictures(4), RECIPE, 8, 0, key).losses


def work(rank: int, port: int, out: Path) -> None:
    """One of two processes; each reads half of every batch."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    processes.meet("here")
    np.savez(out / f"{rank}.npz", **{key: losses(key) for key in KEYS})
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    out = tmp_path_factory.mktemp("out")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port, out), nprocs=2)
    return [dict(np.load(out / f"{rank}.npz")) for rank in (0, 1)]


@pytest.mark.parametrize("key", KEYS)
def test_two_processes_train_as_one(key: str, together: list[dict[str, np.ndarray]]) -> None:
    for found in together:
        np.testing.assert_allclose(found[key], losses(key), rtol=1e-4, atol=1e-4)
