"""Convolutions over time: residual blocks over the frame features, then the mean over time.

Source: Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling", 2018, without dilation and causality: a clip is short and seen as a whole. The ends are padded with zeros.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task

LABEL = "Temporal convolution"
SEARCHED = "lr"
DEFAULTS = {"layers": 2, "kernel": 5}


class TemporalConvolution(nn.Module):
    """Layer normalisation, residual convolutions, mean over time, linear classifier."""

    def __init__(self, task: Task, layers: int, kernel: int) -> None:
        super().__init__()
        dim = task.dim
        self.norm_in, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, dim, kernel, padding=kernel // 2) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.classifier = nn.Linear(dim, task.n_classes)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        x_BTD = self.norm_in(features_BTD)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x_BTD = x_BTD + F.gelu(convolved(convolution, norm(x_BTD)))
        fused_BD = self.norm_out(x_BTD.mean(dim=1))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def convolved(convolution: Any, x_BTD: Tensor) -> Tensor:
    """The `nn.Conv1d` of (B, T, D) over time, written as a product: cuDNN's would be in TensorFloat-32 by default (an
    error of 1e-4 on an H200). Letter K: taps.
    """
    ends = convolution.kernel_size[0] // 2
    taps_BTDK = F.pad(x_BTD, (0, 0, ends, ends)).unfold(1, convolution.kernel_size[0], 1)
    # one row per time step: otherwise vmap repeats the weight for each sample
    rows = F.linear(taps_BTDK.flatten(2).flatten(0, 1), convolution.weight.flatten(1), convolution.bias)
    return rows.unflatten(0, x_BTD.shape[:2])


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, layers: int, kernel: int) -> TemporalConvolution:
    """The head with `layers` convolutions over `kernel` time steps.

    Raises:
        ConfigError: a number is below 1, or the kernel is even, so that it has no middle.
    """
    if min(layers, kernel) < 1 or kernel % 2 == 0:
        raise ConfigError(
            f"params.yaml: methods.temporal_conv: layers {layers} and kernel {kernel} must be at least 1, and the "
            "kernel must be odd"
        )
    return TemporalConvolution(task, layers, kernel)
