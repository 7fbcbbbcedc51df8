"""Fixtures of the model tests: the golden numbers and small random inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

GOLDENS = Path(__file__).parents[1] / "goldens"


class Golden:
    """One golden file: the released weights, the features, and what the released head makes of them."""

    def __init__(self, name: str) -> None:
        with np.load(GOLDENS / name) as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self.rates = arrays["meta/rates"].tolist()
        self.features = arrays["input/features"]
        self.state = {
            key.removeprefix("weights/"): value for key, value in arrays.items() if key.startswith("weights/")
        }
        self.outputs = {
            mode: {
                key.removeprefix(f"output/{mode}/"): value
                for key, value in arrays.items()
                if key.startswith(f"output/{mode}/")
            }
            for mode in ("train", "eval")
        }


@pytest.fixture(scope="session", params=["released_head_8f.npz", "released_head_32f.npz"])
def golden(request: pytest.FixtureRequest) -> Golden:
    """Each golden file in turn; a missing file is an error, not a skip."""
    return Golden(request.param)
