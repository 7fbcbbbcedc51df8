"""Tensors with a shape, a type and a device but no values (PyTorch's fake tensors), to find faults and memory without a
GPU.

A model is built as usual inside `fake_values`; on the device "cuda", a forward pass needs no driver. An operation that
brings a number to the host gets 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode


class _Ones(FakeTensorMode):
    """Fake tensors that equal 1 wherever the host reads their value."""

    def dispatch(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return {torch.bool: True}.get(args[0].dtype, 1.0 if args[0].dtype.is_floating_point else 1)
        return super().dispatch(func, types, args, kwargs)


@contextmanager
def fake_values() -> Iterator[None]:
    """Inside the block, tensors have no values, and modules can be moved to any device."""
    with _Ones(), mock.patch.object(nn.Module, "_apply", _apply):
        yield


def _apply(module: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """``nn.Module._apply`` that replaces parameters by new ones, because fake data cannot change its device."""
    for child in module.children():
        child._apply(fn)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = nn.Parameter(fn(parameter.detach()), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = fn(buffer)
    return module
