"""The `train` part of a profile in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainConfig:
    """One recipe for every trained method; the learning rate comes from the search.

    From `backbone_lr_scale` on, all but `threads`, `devices`, `nodes` and `timeout_sec` concern the tuned track only
    (docs/protocol.md; docs/scaling.md for those that say where and how a row is trained, from `devices` on).
    """

    updates: int
    batch_size: int
    weight_decay: float = 0.05
    warmup: float = 0.1
    decay_power: float = 1.0
    backbone_lr_scale: float = 0.1
    threads: int = 2
    tuning: str = "full"
    blocks: tuple[str, ...] = ()
    layer_decay: float = 1.0
    grad_checkpointing: bool = False
    precision: str = "auto"
    ema_decay: float = 0.0
    views_per_batch: int = 32
    sampling: str = "protocol"
    keep_weights: str = "all"
    non_finite: str = "stop"
    accumulate: int = 1
    deterministic: bool = False
    strategy: str = "ddp"
    bad_share: float = 0.01
    workers: int = 0
    devices: Any = "auto"
    nodes: int = 1
    timeout_sec: float = 600.0
    save_every: int = 100
    log_every: int = 10
