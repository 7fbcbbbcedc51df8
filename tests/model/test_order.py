"""Which heads give the same answer for the frames in reverse, and that the tables mark exactly these."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vidprism.config import load_config
from vidprism.methods import vidprism_c
from vidprism.model import VidPrismHead
from vidprism.report.tables.order import is_order_blind

B, T, D, C = 4, 32, 16, 5
VARIANTS = load_config("mini").profile.ablations.variants  # of the paper's reading, with 32 frames
BLIND = {
    "rates_2", "rates_4", "rates_8", "rates_16",
    "int_none", "int_slow2fast",
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    **VARIANTS,
    **{f"{key}, combined by {kind}": {**VARIANTS[key], "combination": kind}
       for key in sorted(BLIND) for kind in ("avg", "linear", "mlp", "local_attn")},
    "max, no interaction": {"interaction": "none", "aggregation": "max"},
    "mean, slow to fast": {"interaction": "slow2fast", "aggregation": "avg"},
    "no pair across rate 8": {"rates": [2, 4], "slow_rule": "rate8"},
    "released, one expert": {"reading": "released", "rates": [4]},
    "first frames, no interaction": {"interaction": "none", "aggregation": "hard"},
    "learned positions, one expert": {"rates": [2], "pos_emb": "learned"},
    "sinusoids, one expert": {"rates": [2], "pos_emb": "sin"},
    "one pair across rate 8": {"rates": [4, 8], "slow_rule": "rate8"},
}  # fmt: skip
AWARE = {
    "first frames, no interaction", "learned positions, one expert", "sinusoids, one expert", "one pair across rate 8",
}  # fmt: skip


def changed_by_reversal(options: dict[str, Any]) -> float:
    """The largest change of a logit if the frames come in reverse, over three random heads, in float64."""
    largest = 0.0
    for seed in range(3):
        torch.manual_seed(seed)
        head = VidPrismHead(D, C, **options).double().eval()
        features_BTD = torch.randn(B, T, D, dtype=torch.float64)
        with torch.no_grad():
            change = head(features_BTD).logits - head(features_BTD.flip(1)).logits
        largest = max(largest, float(change.abs().max()))
    return largest


@pytest.mark.parametrize("name", SETTINGS)
def test_order_blind_heads_are_those_that_are_marked(name: str) -> None:
    options = vidprism_c.resolve(SETTINGS[name], T)
    change = changed_by_reversal(options)
    assert change < 1e-12 or change > 1e-6, "neither the same answer nor another one"
    assert is_order_blind(options) == (change < 1e-12)


def test_which_variants_of_params_are_order_blind() -> None:
    found = {name for name in SETTINGS if is_order_blind(vidprism_c.resolve(SETTINGS[name], T))}
    assert found & VARIANTS.keys() == BLIND
    assert found == SETTINGS.keys() - AWARE - (VARIANTS.keys() - BLIND)
