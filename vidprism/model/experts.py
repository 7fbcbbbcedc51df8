"""Section 3.3, first half: one Transformer layer for each stream (Eq. 12-13).

Shapes: B batch, T tokens of a stream, D width, H heads, K = D / H width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_TOKENS = 64  # rows of the learned position table; a stream of 32 frames has at most 32 tokens


def quickgelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU, x * sigmoid(1.702 x); any shape."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "quickgelu": quickgelu}


class Attention(nn.Module):
    """Multi-head attention, written out so that it works under vmap. Initialised as nn.MultiheadAttention.

    Raises:
        ValueError: `heads` does not divide `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide the width {dim}; set the switch heads to a divisor of it")
        self.heads = heads
        self.in_proj = nn.Linear(dim, 3 * dim)  # rows: query, key, value
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Self-attention. (B, T, D) -> (B, T, D) and the attention (B, H, T, T)."""
        qkv = self.in_proj(x_BTD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q_BHTK, k_BHTK, v_BHTK = qkv.unbind(0)
        attention_BHTT = (q_BHTK @ k_BHTK.transpose(-1, -2) * q_BHTK.shape[-1] ** -0.5).softmax(-1)
        return self.out_proj((attention_BHTT @ v_BHTK).transpose(1, 2).flatten(2)), attention_BHTT

    def query(self, q_1D: Tensor, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-attention of one learned query (1, D) over (B, T, D) -> (B, D) and the attention (B, H, T).

        With a single query, the key map can be folded into the query, and the value map applied after the weighted sum:
        the same function without projecting every token.
        """
        wq_HKD, wk_HKD, wv_HKD = self.in_proj.weight.unflatten(0, (3, self.heads, -1)).unbind(0)
        bq_HK, _, bv_HK = self.in_proj.bias.unflatten(0, (3, self.heads, -1)).unbind(
            0
        )  # the softmax ignores the bias of the key
        q_HK = (wq_HKD @ q_1D.T).squeeze(-1) + bq_HK
        folded_HD = (q_HK.unsqueeze(1) @ wk_HKD).squeeze(1) * q_HK.shape[-1] ** -0.5
        attention_BHT = F.linear(x_BTD, folded_HD).softmax(1).transpose(1, 2)
        read_HBD = (attention_BHT @ x_BTD).transpose(0, 1)
        read_HBK = read_HBD @ wv_HKD.transpose(1, 2) + bv_HK.unsqueeze(1)
        return self.out_proj(read_HBK.transpose(0, 1).flatten(1)), attention_BHT


class Expert(nn.Module):
    """A separate post-norm Transformer layer for one rate (Eq. 12-13).

    Args:
        dim: width D.
        rate: frames behind one token; sets the time scale of the sinusoidal positions.
        heads: attention heads.
        ffn_ratio: hidden width of the feed-forward network over D.
        act: `gelu` or `quickgelu`.
        pos_emb: `none`; `learned`, a vector for each token; `sin`, sinusoids of the window's centre in frames,
            so that all experts share one time axis.
    """

    def __init__(self, dim: int, rate: int, *, heads: int, ffn_ratio: int, act: str, pos_emb: str) -> None:
        super().__init__()
        self.rate, self.pos_emb, self.act = rate, pos_emb, ACTIVATIONS[act]
        self.attn = Attention(dim, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.fc_1, self.fc_2 = nn.Linear(dim, ffn_ratio * dim), nn.Linear(ffn_ratio * dim, dim)
        if pos_emb == "learned":
            self.positions_TD = nn.Parameter(0.02 * torch.randn(MAX_TOKENS, dim))

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> (B, T, D) and the self-attention (B, H, T, T).

        Raises:
            ValueError: more tokens than the learned position table has rows.
        """
        if self.pos_emb != "none":
            x_BTD = x_BTD + self._positions(x_BTD)
        attended_BTD, attention_BHTT = self.attn(x_BTD)
        x_BTD = self.ln_1(x_BTD + attended_BTD)  # Eq. 12
        return self.ln_2(x_BTD + self.fc_2(self.act(self.fc_1(x_BTD)))), attention_BHTT  # Eq. 13

    def _positions(self, x_BTD: Tensor) -> Tensor:
        n_tokens, dim = x_BTD.shape[-2:]
        if self.pos_emb == "sin":
            return sinusoids(n_tokens, dim, self.rate).to(x_BTD)
        if n_tokens > MAX_TOKENS:
            raise ValueError(f"{n_tokens} tokens but {MAX_TOKENS} learned positions; use pos_emb=sin, or fewer frames")
        return self.positions_TD[:n_tokens]


def sinusoids(n_tokens: int, dim: int, rate: int) -> Tensor:
    """Sine and cosine positions (T, D) of window centres in frames (Vaswani et al. 2017, Sec. 3.5)."""
    frame_T1 = ((torch.arange(n_tokens) + 0.5) * rate).unsqueeze(1)
    frequency_D = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))
    return torch.cat(((frame_T1 * frequency_D).sin(), (frame_T1 * frequency_D).cos()), dim=1)[:, :dim]
