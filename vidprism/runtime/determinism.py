"""Operations that give the same bits each time, or an error (`train.deterministic`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS, WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"  # a fixed workspace for cuBLAS


@contextmanager
def workspace(enabled: bool) -> Iterator[None]:
    """Set the variable that cuBLAS needs to be deterministic, if `enabled`. PyTorch reads it once, at the first product
    on the GPU, which may be a product of class texts before the training begins.
    """
    variable = os.environ.get(CUBLAS)
    if enabled:
        os.environ[CUBLAS] = WORKSPACE
    try:
        yield
    finally:
        if enabled:
            os.environ.pop(CUBLAS)
        if variable is not None:
            os.environ[CUBLAS] = variable


@contextmanager
def deterministic(enabled: bool) -> Iterator[None]:
    """Allow only deterministic operations inside the block, if requested; the earlier settings return afterwards.

    Raises:
        RuntimeError: an operation has no deterministic form; the message names it.
    """
    if not enabled:
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with workspace(enabled):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags
