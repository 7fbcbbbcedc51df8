"""AdamW for the frozen track: torch's own fused kernel without the optimiser class.

The numbers are bit for bit those of ``torch.optim.AdamW(..., fused=True)``, and a test compares the two. Creating an
object of that class imports the machinery of ``torch.compile``, 1.8 s of every training stage; the functional form does
not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.adamw import adamw

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's defaults


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) over parameter groups with `params`, `lr` and `weight_decay`."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.groups = groups
        # first moment, second moment, step count
        self.state = {
            p: (torch.zeros_like(p), torch.zeros_like(p), torch.zeros((), device=p.device))
            for g in groups
            for p in g["params"]
        }

    @torch.no_grad()
    def step(self, lr_factor: float = 1.0) -> None:
        """Update every parameter that has a gradient, at `lr_factor` times its group's rate, and clear the
        gradients.
        """
        for group in self.groups:
            used = [p for p in group["params"] if p.grad is not None]
            first, second, steps = (
                (list(part) for part in zip(*(self.state[p] for p in used), strict=True)) if used else ([], [], [])
            )
            adamw(
                used,
                [p.grad for p in used],
                first,
                second,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=group["lr"] * lr_factor,
                weight_decay=group["weight_decay"],
                eps=EPS,
                maximize=False,
            )
            for p in used:
                p.grad = None
