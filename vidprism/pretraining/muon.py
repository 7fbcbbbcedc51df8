"""Muon: moves matrices of a network along the orthogonalised momentum of their gradients.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the rule is that of `torch.optim.Muon`,
and a test compares the two. torch's version takes one matrix at a time and iterates in bfloat16, which is slow on a CPU
without instructions for it (docs/world.md). Here, matrices of one shape are one product in float32, spread over the
cores. Letters: M matrices of one shape, R rows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from vidprism.pretraining.batch_parts import Run

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic, steepest at zero; Jordan et al.
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay; for matrices only.

    A step moves a matrix by ``lr * max(1, R / C) ** 0.5`` times the orthogonal matrix. `run` maps over the stacks that
    `parts` cores process at once; the division changes no matrix.

    Raises:
        ValueError: a parameter that is not a matrix.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        momentum: float,
        run: Run,
        parts: int = 1,
    ) -> None:
        matrices = list(matrices)
        for p in matrices:
            if p.ndim != 2:
                raise ValueError(f"Muon moves matrices (R, C), not parameters of shape {tuple(p.shape)}")
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        self._momentum, self._run, self._parts = momentum, run, parts

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix by its gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            stacks = [some for of_shape in by_shape.values() for some in _cut(of_shape, self._parts)]
            moves = self._run(orthogonalised, [torch.stack([self._towards(p) for p in some]) for some in stacks])
            for some, move_MRC in zip(stacks, moves, strict=True):
                _, rows, columns = move_MRC.shape
                torch._foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                torch._foreach_add_(some, list(move_MRC.unbind(0)), alpha=-scale)

    def _towards(self, p: Tensor) -> Tensor:
        """Gradient and momentum (R, C), mixed as in Nesterov's method."""
        state: dict[str, Any] = self.state[p]
        assert p.grad is not None, "`step` moves only matrices with a gradient"
        momentum = state.setdefault("momentum", torch.zeros_like(p)).lerp_(p.grad, 1 - self._momentum)
        return p.grad.lerp(momentum, self._momentum)


def orthogonalised(x_MRC: Tensor) -> Tensor:
    """Approximately the nearest matrices with orthogonal rows (or columns, if there are fewer), (M, R, C).
    Newton-Schulz iterations bring all but tiny singular values to between 0.7 and 1.2.
    """
    a, b, c = COEFFICIENTS
    flipped = x_MRC.shape[1] > x_MRC.shape[2]
    x_MRC = x_MRC.mT if flipped else x_MRC
    x_MRC = x_MRC / x_MRC.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram_MRR = x_MRC @ x_MRC.mT
        x_MRC = torch.baddbmm(x_MRC, torch.baddbmm(gram_MRR, gram_MRR, gram_MRR, beta=b, alpha=c), x_MRC, beta=a)
    return x_MRC.mT if flipped else x_MRC


def _cut(matrices: list[Tensor], parts: int) -> list[list[Tensor]]:
    size = -(-len(matrices) // parts)
    return [matrices[i : i + size] for i in range(0, len(matrices), size)]
