"""VidPrism's head, from frame features to logits: the parts of Section 3 combined (Eq. 1-22).

Shapes: B batch, T frames, N experts, D width, C classes, T_i = T / rate_i tokens of stream i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidprism.model.aggregation import Pooling, RgSTA
from vidprism.model.combination import build_combination
from vidprism.model.experts import Expert
from vidprism.model.interaction import DBI
from vidprism.model.losses import DIVERSITY, gate_loss, rank_loss, text_loss
from vidprism.model.readings import resolve_switches


@dataclass(frozen=True)
class HeadOutput:
    """The result of one forward pass.

    Attributes:
        logits: (B, C), Eq. 15.
        expert_weights: expert usage (B, N), sums to one over the experts (see `vidprism.model.combination`).
        losses: unweighted scalars `rank` (Eq. 18; 0 outside training), `div` (Eq. 19) and `gate` (Eq. 21).
        fused: (B, D), Eq. 14.
        projected: (B, D), what the text loss compares with class texts; None where lambda_text is 0.
        streams: None unless requested, else `rgsta`, `dbi`, `experts`: {rate: (B, T_i, D)}; `attention`:
            {rate: (B, T_i, T_i)} between frames, mean over heads; `readout`: (B, sum of T_i) or None;
            `gates`: (B, N, N) scores of link i -> j before the threshold, or None.
    """

    logits: Tensor
    expert_weights: Tensor
    losses: dict[str, Tensor]
    fused: Tensor
    projected: Tensor | None
    streams: dict[str, Any] | None


class VidPrismHead(nn.Module):
    """Heterogeneous temporal mixture of experts on frame features (Section 3).

    Args:
        dim: width D of the frame features.
        n_classes: C.
        rates: frames per window of each expert, strictly increasing: (2, 4, 8) for 8 frames,
            (2, 4, 8, 16) for 32.
        reading: `paper` or `released`, the preset that every switch takes its value from.
        **switches: switches to change, see `vidprism.model.readings`.

    Raises:
        ValueError: unknown reading, switch or alternative; value out of range; bad rates; heads not dividing
            D.
    """

    def __init__(self, dim: int, n_classes: int, rates: Sequence[int], reading: str = "paper", **switches: Any) -> None:
        super().__init__()
        self.dim, self.n_classes, self.rates = dim, n_classes, _checked_rates(rates)
        self.reading, self.switches = reading, resolve_switches(reading, switches)
        s = self.switches
        self.loss_weights: dict[str, float] = {k: float(s[f"lambda_{k}"]) for k in ("rank", "div", "gate", "text")}
        self.diversity = DIVERSITY[s["div"]]
        rgsta = _pick(s, "softmax_axis delta alpha tau score_norm straight_through")
        self.aggregators = nn.ModuleList(
            RgSTA(dim, rate, **rgsta) if s["aggregation"] == "rgsta" else Pooling(rate, s["aggregation"])
            for rate in self.rates
        )
        dbi = _pick(s, "interaction slow_rule gate_scope gate_pairs accumulate shared_conv threshold")
        dbi |= _pick(s, "conv_kernel conv_padding interpolation")
        self.interaction = DBI(dim, self.rates, **dbi)
        expert = _pick(s, "heads ffn_ratio act pos_emb")
        self.experts = nn.ModuleList(Expert(dim, rate, **expert) for rate in self.rates)
        self.combination = build_combination(s["combination"], dim, len(self.rates), s["heads"], s["act"])
        self.readout_norm = nn.LayerNorm(dim) if s["readout_norm"] else nn.Identity()
        self.classifier = nn.Linear(dim, n_classes)
        if s["lambda_text"] > 0:
            self.projection = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, features_BTD: Tensor, streams: bool = False) -> HeadOutput:
        """Frame features (B, T, D) -> logits and losses; with `streams` the intermediate tensors for figures.

        Raises:
            ValueError: features of another rank or width, or a rate that does not divide T.
        """
        self._check(features_BTD)
        aggregated = [aggregate(features_BTD) for aggregate in self.aggregators]
        rgsta = [stream for stream, _ in aggregated]
        exchanged, score_BP = self.interaction(rgsta)
        processed = [expert(x) for expert, x in zip(self.experts, exchanged, strict=True)]
        outputs = [out for out, _ in processed]
        fused_BD, usage_BN, readout_BT = self.combination(outputs)
        fused_BD = self.readout_norm(fused_BD)
        means_BND = torch.stack([out.mean(1) for out in outputs], dim=1)
        losses = {
            "rank": self._rank([scores for _, scores in aggregated], features_BTD),
            "div": self.diversity(means_BND),
            "gate": gate_loss(usage_BN),
        }
        projected_BD = self.projection(fused_BD) if self.loss_weights["text"] > 0 else None
        seen = None
        if streams:
            seen = {
                "rgsta": dict(zip(self.rates, rgsta, strict=True)),
                "dbi": dict(zip(self.rates, exchanged, strict=True)),
                "experts": dict(zip(self.rates, outputs, strict=True)),
                "attention": {rate: attn.mean(1) for rate, (_, attn) in zip(self.rates, processed, strict=True)},
                "readout": readout_BT,
                "gates": None if score_BP is None else self.interaction.score_matrix(score_BP),
            }
        return HeadOutput(self.classifier(fused_BD), usage_BN, losses, fused_BD, projected_BD, seen)

    def objective(
        self, output: HeadOutput, labels_B: Tensor, text_features_CD: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Eq. 16 and 22: `cls`, the auxiliary terms (unweighted) and their weighted sum `total`, all scalars.

        Args:
            output: of `forward` in training mode.
            labels_B: class indices.
            text_features_CD: class texts, needed where lambda_text is above 0.

        Raises:
            ValueError: the text loss is switched on but there are no text features.
        """
        terms = {"cls": F.cross_entropy(output.logits, labels_B), **output.losses}
        if self.loss_weights["text"] > 0:
            if text_features_CD is None or output.projected is None:
                raise ValueError("lambda_text is above 0: pass text_features_CD, or set lambda_text=0")
            terms["text"] = text_loss(output.projected, text_features_CD, labels_B)
        weighted = [self.loss_weights[name] * term for name, term in terms.items() if name != "cls"]
        return terms | {"total": terms["cls"] + sum(weighted)}

    def _rank(self, scores: list, features_BTD: Tensor) -> Tensor:
        """Eq. 18, mean over streams. It is a training signal, and exists only where there is a ScoreHead."""
        if not self.training or scores[0] is None:
            return features_BTD.new_zeros(())
        s = self.switches
        return torch.stack([rank_loss(x, s["rank_target"], s["score_temperature"]) for x in scores]).mean()

    def _check(self, features_BTD: Tensor) -> None:
        if features_BTD.ndim != 3 or features_BTD.shape[2] != self.dim:
            raise ValueError(f"features must be (B, T, {self.dim}), not {tuple(features_BTD.shape)}")
        n_frames = features_BTD.shape[1]
        bad = [rate for rate in self.rates if n_frames % rate or n_frames < rate]
        if bad:
            raise ValueError(
                f"rates {bad} do not divide the {n_frames} frames; choose other rates or another frame count"
            )


def _checked_rates(rates: Sequence[int]) -> tuple[int, ...]:
    rates = tuple(rates)
    increasing = all(a < b for a, b in pairwise(rates))
    if not rates or not increasing or not all(isinstance(r, int) and r >= 1 for r in rates):
        raise ValueError(f"rates must be strictly increasing positive integers such as (2, 4, 8), not {rates}")
    return rates


def _pick(switches: Mapping[str, Any], names: str) -> dict[str, Any]:
    return {name: switches[name] for name in names.split()}
