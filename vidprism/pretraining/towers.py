"""What the two pre-trainings of both towers of a CLIP share: the optimiser, an update, and the files they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.config import TowerPretrainConfig

POINT_EVERY = 20  # steps


def tower_optimizer(net: nn.Module, cfg: TowerPretrainConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    groups = [
        {"params": [p for p in net.parameters() if p.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=cfg.lr, betas=(0.9, 0.98), fused=True)


def take_step(
    loss: torch.Tensor, net: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any, where: str, section: str
) -> None:
    """One update with clipped gradients.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at {where}; lower {section}.lr in params.yaml")
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step()


def points_of(losses: list[float]) -> list[dict[str, float]]:
    """Points of the loss curve, {"step", "loss"}, the last step among them."""
    last = len(losses) - 1
    return [{"step": i, "loss": round(x, 4)} for i, x in enumerate(losses) if i % POINT_EVERY == 0 or i == last]


def save(model: nn.Module, report: dict[str, Any], out_dir: Path) -> None:
    """Write ``weights.safetensors`` and ``pretraining.json``."""
    from safetensors.torch import save_file

    out_dir.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, out_dir / WEIGHTS_FILE)
    (out_dir / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
