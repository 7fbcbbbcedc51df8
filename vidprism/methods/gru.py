"""A gated recurrent unit over the frame features, then the mean of its states.

Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
2014, with the reset gate after the matrix product, as in `torch.nn.GRU`, which has no rule for stacked parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task

LABEL = "GRU"
SEARCHED = "lr"
DEFAULTS: dict = {}


class GatedRecurrent(nn.Module):
    """Layer normalisation, one recurrent layer of width D, mean over time, linear classifier."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.of_input, self.of_state = nn.Linear(dim, 3 * dim), nn.Linear(dim, 3 * dim)
        self.classifier = nn.Linear(dim, n_classes)

    def forward(self, features_BTD: Tensor) -> Output:
        """Frame features (B, T, D) -> logits (B, C)."""
        input_BTG = self.of_input(self.norm_in(features_BTD))  # G = 3 D: reset, update, candidate
        state_BD = torch.zeros_like(features_BTD[:, 0])
        states = []
        for input_BG in input_BTG.unbind(dim=1):
            reset, update, candidate = input_BG.chunk(3, dim=-1)
            state_reset, state_update, state_candidate = self.of_state(state_BD).chunk(3, dim=-1)
            update = torch.sigmoid(update + state_update)
            candidate = torch.tanh(candidate + torch.sigmoid(reset + state_reset) * state_candidate)
            state_BD = (1 - update) * candidate + update * state_BD
            states.append(state_BD)
        fused_BD = self.norm_out(torch.stack(states).mean(dim=0))
        return Output(self.classifier(fused_BD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,)."""
        loss = F.cross_entropy(output.logits, labels_B)
        return {"cls": loss, "total": loss}


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task) -> GatedRecurrent:
    """The head for the task's width and classes."""
    return GatedRecurrent(task.dim, task.n_classes)
