"""Section 3.3, second half: the experts' tokens become one vector (Eq. 14, and the alternatives of Table 5c).

Every combination returns the fused vector (B, D), the expert usage (B, N), which sums to one over the experts, and the
attention of each token (B, sum of T_i), or None without attention.

Shapes: B batch, N experts, T_i tokens of expert i, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidprism.model.experts import ACTIVATIONS, Attention

Combined = tuple[Tensor, Tensor, Tensor | None]


class AttentionReadout(nn.Module):
    """A learned query attends to the experts' tokens (Eq. 14).

    `local=False` (GlobalAttn) attends over the tokens of all experts at once; usage is the attention mass of an expert.
    `local=True` (LocalAttn, "processes each expert's output in isolation") applies the same query and attention within
    each expert and averages over experts. It differs from GlobalAttn only in the range of the softmax, and its usage is
    uniform.
    """

    def __init__(self, dim: int, heads: int, local: bool) -> None:
        super().__init__()
        self.local = local
        self.query_1D = nn.Parameter(0.02 * torch.randn(1, dim))  # N(0, 0.02) as released
        self.attn = Attention(dim, heads)

    def forward(self, outputs_BTD: Sequence[Tensor]) -> Combined:
        """Expert outputs (B, T_i, D) -> fused (B, D), usage (B, N), token attention (B, sum of T_i)."""
        groups = [[x] for x in outputs_BTD] if self.local else [outputs_BTD]
        read = [self.attn.query(self.query_1D, torch.cat(list(group), dim=1)) for group in groups]
        fused_BD = torch.stack([fused for fused, _ in read]).mean(0)
        attention_BT = torch.cat([attention.mean(1) for _, attention in read], dim=1) / len(read)
        per_expert = attention_BT.split([x.shape[1] for x in outputs_BTD], dim=1)
        return fused_BD, torch.stack([a.sum(1) for a in per_expert], dim=1), attention_BT


class PooledReadout(nn.Module):
    """Mean of each expert's tokens, concatenated, through a linear layer or an MLP with output width D.

    There is no attention, so usage is the share of each expert in the norm of the first layer's output.
    """

    def __init__(self, dim: int, n_experts: int, act: str, hidden: bool) -> None:
        super().__init__()
        self.fc_1 = nn.Linear(n_experts * dim, dim)
        self.act = ACTIVATIONS[act]
        self.fc_2 = nn.Linear(dim, dim) if hidden else None

    def forward(self, outputs_BTD: Sequence[Tensor]) -> Combined:
        """Expert outputs (B, T_i, D) -> fused (B, D), usage (B, N), None."""
        pooled_NBD = torch.stack([x.mean(1) for x in outputs_BTD])
        weight_NDD = self.fc_1.weight.unflatten(1, (len(outputs_BTD), -1)).permute(1, 2, 0)
        parts_NBD = pooled_NBD @ weight_NDD
        norm_BN = parts_NBD.norm(dim=-1).T
        fused_BD = parts_NBD.sum(0) + self.fc_1.bias
        if self.fc_2 is not None:
            fused_BD = self.fc_2(self.act(fused_BD))
        return fused_BD, norm_BN / norm_BN.sum(1, keepdim=True).clamp_min(1e-12), None


class MeanReadout(nn.Module):
    """Mean over each expert's tokens, then over experts; no parameters, usage is uniform."""

    def forward(self, outputs_BTD: Sequence[Tensor]) -> Combined:
        """Expert outputs (B, T_i, D) -> fused (B, D), usage (B, N), None."""
        pooled_BND = torch.stack([x.mean(1) for x in outputs_BTD], dim=1)
        return pooled_BND.mean(1), torch.full_like(pooled_BND[:, :, 0], 1 / len(outputs_BTD)), None


def build_combination(kind: str, dim: int, n_experts: int, heads: int, act: str) -> nn.Module:
    """The combination named `kind` (a row of Table 5c): global_attn, local_attn, mlp, linear or avg."""
    return {
        "global_attn": lambda: AttentionReadout(dim, heads, local=False),
        "local_attn": lambda: AttentionReadout(dim, heads, local=True),
        "mlp": lambda: PooledReadout(dim, n_experts, act, hidden=True),
        "linear": lambda: PooledReadout(dim, n_experts, act, hidden=False),
        "avg": MeanReadout,
    }[kind]()
