"""Section 3.2: streams exchange messages through gates (Eq. 8-11, and the alternatives of Table 5b).

Shapes: B batch, N streams, T tokens of a stream, D width, P gates, H hidden width of a gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidprism.model.readings import COVERING

GATE_REDUCTION = 4  # hidden width D / 4 of the filter network, as released
SHARED = "slow2fast"  # name of the 1x1 convolution shared by all slow-to-fast links
SLOW_RATE = 8  # the released code calls this rate slow, whatever the other rate


class Gates(nn.Module):
    """The filter networks of all pairs, stacked so that one product computes them all (Eq. 8-9).

    `pairs` are the (i, j) whose summaries [g_i; g_j] a network reads: Linear 2D -> D/4, ReLU, Linear -> 1, sigmoid.
    """

    def __init__(self, dim: int, pairs: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.first, self.second = ([pair[k] for pair in pairs] for k in (0, 1))
        hidden = max(dim // GATE_REDUCTION, 1)
        self.w1_PDH = _uniform(2 * dim, len(pairs), 2 * dim, hidden)
        self.b1_PH = _uniform(2 * dim, len(pairs), hidden)
        self.w2_PH = _uniform(hidden, len(pairs), hidden)
        self.b2_P = _uniform(hidden, len(pairs))

    def forward(self, streams_BTD: Sequence[Tensor]) -> Tensor:
        """Streams (B, T_i, D) -> scores (B, P) in [0, 1]."""
        g = [x_BTD.mean(1) for x_BTD in streams_BTD]  # Eq. 8
        g_PBD = torch.stack([torch.cat((g[i], g[j]), -1) for i, j in zip(self.first, self.second, strict=True)])
        hidden_PBH = F.relu(g_PBD @ self.w1_PDH + self.b1_PH.unsqueeze(1))
        return torch.sigmoid((hidden_PBH @ self.w2_PH.unsqueeze(-1)).squeeze(-1).T + self.b2_P)  # Eq. 9


class SlowToFast(nn.Linear):
    """The message of Eq. 10: 1x1 convolution and linear interpolation (`half_pixel` centres, or `corners`, which aligns
    the first tokens and the last tokens).

    The two act on different axes, and the interpolation weights sum to one, so their order does not matter. The
    convolution comes first because the slow stream is shorter.
    """

    def __init__(self, dim: int, interpolation: str) -> None:
        super().__init__(dim, dim)
        self.align_corners = interpolation == "corners"

    def forward(self, slow_BTD: Tensor, n_tokens: int) -> Tensor:  # type: ignore[override]
        """(B, T_slow, D) -> (B, n_tokens, D)."""
        eye_1SS = torch.eye(slow_BTD.shape[1], dtype=slow_BTD.dtype, device=slow_BTD.device).unsqueeze(0)
        weight_1ST = F.interpolate(eye_1SS, size=n_tokens, mode="linear", align_corners=self.align_corners)
        return weight_1ST.transpose(1, 2) @ super().forward(slow_BTD)


class FastToSlow(nn.Module):
    """The message of Eq. 11: temporal convolution with stride R_slow / R_fast and no bias (letter K: taps). The ends
    are padded with `zeros`, or by repeating the first and last token (`replicate`).
    """

    def __init__(self, dim: int, stride: int, kernel: int | str, padding: str) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.kernel, self.ends = taps(kernel, stride)
        self.weight_DKD = _uniform(self.kernel * dim, dim, self.kernel, dim)  # (out, tap, in)

    def forward(self, fast_BTD: Tensor, n_tokens: int) -> Tensor:
        """(B, T_fast, D) -> (B, n_tokens, D)."""
        if self.padding == "zeros":
            padded_BTD = F.pad(fast_BTD, (0, 0, *self.ends))
        else:
            before, after = self.ends
            first_BTD, last_BTD = fast_BTD[:, :1].expand(-1, before, -1), fast_BTD[:, -1:].expand(-1, after, -1)
            padded_BTD = torch.cat([first_BTD, fast_BTD, last_BTD], dim=1)
        taps_BTDK = padded_BTD.unfold(1, self.kernel, self.stride)
        # one row per token: otherwise vmap repeats the weight for each sample
        rows = taps_BTDK.transpose(2, 3).reshape(-1, self.kernel * fast_BTD.shape[-1])
        return F.linear(rows, self.weight_DKD.flatten(1)).unflatten(0, (-1, n_tokens))


class DBI(nn.Module):
    """Dynamic bidirectional interaction (Eq. 8-11): every target receives the gated messages of its sources.

    Args:
        dim: width D.
        rates: rate of each stream; the larger rate has fewer tokens and is the slow one.
        interaction: `dbi` both ways, `slow2fast` or `fast2slow` one way, `none` no link.
        slow_rule: `relative` links every pair; `rate8` (released) only a rate >= 8 with one below.
        gate_scope: the score compared with the threshold: that of a `sample`, or the `batch_mean`
            (released).
        gate_pairs: one score for a `pair`, used both ways, or one for each `directed` link (released).
        accumulate: `sum` of all messages, or only the `last` open source (released: later ones overwrite).
        shared_conv: one 1x1 convolution for all slow-to-fast links (released) instead of one per link.
        conv_kernel: taps of the temporal convolution, or `covering` (see `taps`).
        conv_padding: how its ends are padded, with `zeros` or `replicate`.
        interpolation: `half_pixel` or `corners`.
        threshold: a score below it closes the link.
    """

    def __init__(
        self,
        dim: int,
        rates: Sequence[int],
        *,
        interaction: str,
        slow_rule: str,
        gate_scope: str,
        gate_pairs: str,
        accumulate: str,
        shared_conv: bool,
        conv_kernel: int | str,
        conv_padding: str,
        interpolation: str,
        threshold: float,
    ) -> None:
        super().__init__()
        self.gate_scope, self.accumulate, self.threshold = gate_scope, accumulate, threshold
        self.n_streams = len(rates)
        self.links = find_links(rates, interaction, slow_rule)
        if not self.links:  # a single stream, or no link between streams: nothing to learn
            return
        pairs = list((combinations if gate_pairs == "pair" else permutations)(range(len(rates)), 2))
        self.gates = Gates(dim, pairs)
        self.gate_of = {
            link: pairs.index(link if link in pairs else link[::-1]) for link in permutations(range(len(rates)), 2)
        }
        self.messages = nn.ModuleDict()
        self.message_of: dict[tuple[int, int], str] = {}
        for i, j in self.links:
            slow2fast = rates[i] > rates[j]
            key = SHARED if slow2fast and shared_conv else f"{i}to{j}"
            self.message_of[i, j] = key
            if key not in self.messages:
                self.messages[key] = (
                    SlowToFast(dim, interpolation)
                    if slow2fast
                    else FastToSlow(dim, rates[j] // rates[i], conv_kernel, conv_padding)
                )

    def forward(self, streams_BTD: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """Streams (B, T_i, D) -> streams after the exchange, scores (B, P) before the threshold or None."""
        if not self.links:
            return list(streams_BTD), None
        score_BP = self.gates(streams_BTD)
        open_BP = (score_BP if self.gate_scope == "sample" else score_BP.mean(0, keepdim=True)) >= self.threshold
        strength_BP = torch.where(open_BP, score_BP, torch.zeros_like(score_BP))
        out = list(streams_BTD)
        for i, j in self.links:
            gate = self.gate_of[i, j]
            message_BTD = self.messages[self.message_of[i, j]](streams_BTD[i], streams_BTD[j].shape[1])
            message_BTD = strength_BP[:, gate, None, None] * message_BTD
            if self.accumulate == "sum":
                out[j] = out[j] + message_BTD
            else:
                out[j] = torch.where(open_BP[:, gate, None, None], streams_BTD[j] + message_BTD, out[j])
        return out, score_BP

    def score_matrix(self, score_BP: Tensor) -> Tensor:
        """Scores (B, P) -> (B, N, N): the score of link i -> j, zero on the diagonal. For figures."""
        zero_B = torch.zeros_like(score_BP[:, 0])
        N = range(self.n_streams)
        return torch.stack(
            [torch.stack([zero_B if i == j else score_BP[:, self.gate_of[i, j]] for j in N], -1) for i in N],
            1,
        )


def taps(kernel: int | str, stride: int) -> tuple[int, tuple[int, int]]:
    """Taps of the temporal convolution, and the tokens that pad each end.

    A given number of taps is centred on the first fast token of each slow one, as in the released code. `covering` has
    as many taps as the stride, at least 5, centred on all fast tokens of the slow one, so that every token is read.
    """
    if kernel != COVERING:
        return int(kernel), (int(kernel) // 2, int(kernel) // 2)
    n = max(5, stride)
    before = (n - stride) // 2
    return n, (before, n - stride - before)


def find_links(rates: Sequence[int], interaction: str, slow_rule: str) -> list[tuple[int, int]]:
    """The directed links (source, target), sorted by source and then target, which is also the order of overwriting.

    Raises:
        ValueError: one of two linked rates is not a multiple of the other (Eq. 11 needs an integer
            stride).
    """
    links = []
    for i, j in permutations(range(len(rates)), 2):
        slow, fast = max(rates[i], rates[j]), min(rates[i], rates[j])
        if slow_rule == "rate8" and not fast < SLOW_RATE <= slow:
            continue
        if interaction == "none" or interaction == ("fast2slow" if rates[i] > rates[j] else "slow2fast"):
            continue
        if slow % fast:
            raise ValueError(
                f"rates {fast} and {slow} cannot interact: the stride {slow}/{fast} of Eq. 11 is not an integer"
            )
        links.append((i, j))
    return links


def _uniform(fan_in: int, *shape: int) -> nn.Parameter:
    """Initialised as torch initialises nn.Linear and nn.Conv1d: uniform within 1 / sqrt(fan_in)."""
    return nn.Parameter(torch.empty(shape).uniform_(-(fan_in**-0.5), fan_in**-0.5))
