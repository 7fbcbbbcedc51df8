"""Operations that give the same bits each time, or an error (`train.deterministic`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # a fixed workspace, which cuBLAS takes when it is first used


@contextmanager
def deterministic(asked: bool) -> Iterator[None]:
    """In here, where it is asked for, only deterministic operations; then the settings are as they were.

    Raises:
        RuntimeError: from the operation that has no deterministic form, with its name.
    """
    if not asked:
        yield
        return
    cudnn, variable = torch.backends.cudnn, os.environ.get(CUBLAS)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark
    os.environ[CUBLAS] = ":4096:8"
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags
        os.environ.pop(CUBLAS)
        if variable is not None:
            os.environ[CUBLAS] = variable
