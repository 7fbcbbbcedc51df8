"""VidPrism-C: the VidPrism head (``vidprism.model``) on the frame features of an image-text model.

The options are the reading ("paper" by default), the rates of the experts and every switch of the head. A switch left
at None takes its value from the reading.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Task
from vidprism.model import VidPrismHead, readings
from vidprism.model.vidprism import HeadOutput

LABEL = "VidPrism-C"
SEARCHED = "lr"
DEFAULTS: dict[str, Any] = {"reading": "paper", "rates": None, **dict.fromkeys(readings.PRESETS["paper"])}

RATES = (2, 4, 8, 16)  # section 4.1: {2, 4, 8} for 8 frames, {2, 4, 8, 16} for 32


def default_rates(n_steps: int) -> list[int]:
    """The sampling rates of section 4.1 for clips of 8 or 32 frame features; for other lengths, those rates that divide
    the length.

    Raises:
        ConfigError: none of them divides `n_steps`.
    """
    rates = [rate for rate in RATES if n_steps % rate == 0]
    if not rates:
        raise ConfigError(
            f"none of the rates {RATES} divides clips of {n_steps} time steps; give `rates` in params.yaml"
        )
    return rates


def resolve(options: dict[str, Any], n_steps: int, reading: str = "paper", has_text: bool = True) -> dict[str, Any]:
    """Every switch with its value (the reading's preset, overridden by `options`) and checked rates. The preset has no
    text loss if the encoder has no text tower.

    Raises:
        ConfigError: unknown reading or alternative, a number out of range, or rates that are not an increasing list of
            whole numbers that divide the time steps.
    """
    chosen: dict[str, Any] = {} if has_text else {"lambda_text": 0.0}
    chosen |= {name: value for name, value in options.items() if value is not None}
    reading, rates = str(chosen.pop("reading", reading)), chosen.pop("rates", None)
    rates = default_rates(n_steps) if rates is None else _checked_rates(rates, n_steps)
    try:
        switches = readings.resolve_switches(reading, chosen)
    except ValueError as error:
        raise ConfigError(f"params.yaml: VidPrism-C: {error}") from error
    return {"reading": reading, "rates": rates, **switches}


def _checked_rates(rates: Any, n_steps: int) -> list[int]:
    divisors = [n for n in range(1, n_steps + 1) if n_steps % n == 0]
    if not isinstance(rates, list) or not rates or any(type(rate) is not int for rate in rates):
        raise ConfigError(
            f"params.yaml: rates must be a list of whole numbers such as [2, 4], not {rates!r}; leave the key out "
            "for the rates of section 4.1"
        )
    bad = [rate for rate in rates if rate not in divisors]
    if bad:
        raise ConfigError(
            f"params.yaml: rates {bad} do not divide clips of {n_steps} time steps (frames, or frames over 2 with "
            f"VideoMAE); choose from {divisors}"
        )
    if any(fast >= slow for fast, slow in pairwise(rates)):
        raise ConfigError(
            f"params.yaml: rates must increase, without repetition, not {rates}; write {sorted(set(rates))}"
        )
    return list(rates)


def batch_terms(options: dict[str, Any]) -> list[str]:
    """Switches under which a video's gradient depends on the others of its batch; `options` are resolved."""
    coupled = {
        "lambda_gate": options["lambda_gate"] > 0,
        "div: sample_1mcos": options["lambda_div"] > 0 and options["div"] == "sample_1mcos",
        "gate_scope: batch_mean": options["interaction"] != "none" and options["gate_scope"] == "batch_mean",
    }
    return [name for name, holds in coupled.items() if holds]


class VidPrismC(nn.Module):
    """The head together with the class texts that its auxiliary text loss may use."""

    text_CD: Tensor | None

    def __init__(self, head: VidPrismHead, text_features_CD: Tensor | None) -> None:
        super().__init__()
        self.head = head
        text_CD = None if text_features_CD is None else F.normalize(text_features_CD.float(), dim=-1)
        self.register_buffer("text_CD", text_CD)

    def forward(self, features_BTD: Tensor) -> HeadOutput:
        """Frame features (B, T, D) -> logits (B, C), expert weights (B, N) and the auxiliary losses."""
        return self.head(features_BTD)

    def objective(self, output: HeadOutput, labels_B: Tensor) -> dict[str, Tensor]:
        """Equation 22: the classification loss and the weighted auxiliary ones; "total" is their sum."""
        return self.head.objective(output, labels_B, self.text_CD)


def build(task: Task, reading: str, rates: list[int], **switches: Any) -> VidPrismC:
    """The head for the task; `switches` are those of `VidPrismHead`.

    Raises:
        ConfigError: a switch has a value that the head does not know; or the text loss is on and the encoder has no
            text tower.
    """
    if task.text_features_CD is None and switches.get("lambda_text", 0) > 0:
        raise ConfigError(
            "params.yaml: VidPrism: lambda_text needs class texts, which this backbone does not have; set it to 0"
        )
    try:
        head = VidPrismHead(task.dim, task.n_classes, rates, reading=reading, **switches)
    except ValueError as error:
        raise ConfigError(f"params.yaml: VidPrism-C: {error}") from error
    return VidPrismC(head, task.text_features_CD)
