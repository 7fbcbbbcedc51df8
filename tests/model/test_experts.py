"""Experts: a post-norm Transformer layer, with or without positions."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.experts import MAX_TOKENS, Attention, Expert, sinusoids

B, T, D = 2, 6, 8


def build(**switches) -> Expert:
    torch.manual_seed(0)
    return Expert(D, 4, **({"heads": 2, "ffn_ratio": 2, "act": "gelu", "pos_emb": "none"} | switches)).double()


def test_an_expert_is_torchs_post_norm_encoder_layer():
    expert = build()
    reference = torch.nn.TransformerEncoderLayer(D, 2, 2 * D, dropout=0, activation="gelu", batch_first=True).double()
    names = {
        "attn.in_proj.": "self_attn.in_proj_",
        "attn.out_proj.": "self_attn.out_proj.",
        "ln_1.": "norm1.",
        "ln_2.": "norm2.",
        "fc_1.": "linear1.",
        "fc_2.": "linear2.",
    }
    state = {
        theirs + part: expert.state_dict()[ours + part] for ours, theirs in names.items() for part in ("weight", "bias")
    }
    reference.load_state_dict(state)
    x = torch.randn(B, T, D).double()
    torch.testing.assert_close(expert(x)[0], reference(x))


def test_without_positions_tokens_may_be_permuted_and_with_them_not():
    x, order = torch.randn(B, T, D).double(), torch.tensor([3, 1, 5, 0, 2, 4])
    for pos_emb, expected in {"none": True, "learned": False, "sin": False}.items():
        expert = build(pos_emb=pos_emb)
        same = torch.allclose(expert(x[:, order])[0], expert(x)[0][:, order])
        assert same is expected, pos_emb


def test_one_token_attends_to_itself():
    out, attention = build()(torch.randn(B, 1, D).double())
    assert out.shape == (B, 1, D) and (attention == 1).all()


def test_more_tokens_than_learned_positions_are_refused():
    with pytest.raises(ValueError, match="65 tokens but 64 learned positions"):
        build(pos_emb="learned")(torch.randn(1, MAX_TOKENS + 1, D).double())


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide the width 8"):
        Attention(D, 3)


def test_sinusoids_share_one_clock():
    """Token 0 of rate 6 and token 1 of rate 2 have their window centre at frame 3."""
    torch.testing.assert_close(sinusoids(1, D, 6)[0], sinusoids(2, D, 2)[1])
    assert sinusoids(3, 7, 2).shape == (3, 7)
