"""Combinations of Table 5c: what the query reads and what counts as expert usage."""

from __future__ import annotations

import torch

from vidprism.model.combination import build_combination

B, D = 3, 8
LENGTHS = (4, 2, 1)


def build(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_combination(kind, D, len(LENGTHS), heads=2, act="gelu").double()


def outputs() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(B, length, D).double() for length in LENGTHS]


def test_a_query_without_preference_uses_experts_by_their_tokens():
    readout = build("global_attn")
    with torch.no_grad():
        readout.query_1D.zero_()
        readout.attn.in_proj.bias.zero_()
    _, usage, attention = readout(outputs())
    torch.testing.assert_close(usage, torch.tensor([4 / 7, 2 / 7, 1 / 7]).double().expand(B, 3))
    torch.testing.assert_close(attention, torch.full((B, 7), 1 / 7).double())


def test_global_attention_is_torchs_multi_head_attention():
    readout = build("global_attn")
    reference = torch.nn.MultiheadAttention(D, 2, batch_first=True).double()
    reference.load_state_dict(
        {name.replace("in_proj.", "in_proj_"): value for name, value in readout.attn.state_dict().items()}
    )
    tokens = torch.cat(outputs(), dim=1)
    fused, attention = reference(readout.query_1D.expand(B, 1, D), tokens, tokens)
    torch.testing.assert_close(readout(outputs())[0], fused.squeeze(1))
    torch.testing.assert_close(readout(outputs())[2], attention.squeeze(1))


def test_local_and_global_attention_have_the_same_parameters_and_agree_on_one_expert():
    states = [build(kind).state_dict() for kind in ("global_attn", "local_attn")]
    assert states[0].keys() == states[1].keys()
    one = outputs()[:1]
    torch.testing.assert_close(build("global_attn")(one)[0], build("local_attn")(one)[0])


def test_usage_is_uniform_where_nothing_chooses():
    for kind in ("avg", "local_attn"):
        torch.testing.assert_close(build(kind)(outputs())[1], torch.full((B, 3), 1 / 3).double())


def test_usage_of_the_linear_combination_is_the_share_of_its_contribution():
    readout, x = build("linear"), outputs()
    x[1] = torch.zeros_like(x[1])
    fused, usage, attention = readout(x)
    assert (usage[:, 1] == 0).all() and (usage[:, 0] > 0).all() and attention is None
    torch.testing.assert_close(fused, readout.fc_1(torch.cat([o.mean(1) for o in x], dim=1)))


def test_mlp_ends_in_the_classifiers_width():
    readout, x = build("mlp"), outputs()
    hidden = torch.nn.functional.gelu(readout.fc_1(torch.cat([o.mean(1) for o in x], dim=1)))
    torch.testing.assert_close(readout(x)[0], readout.fc_2(hidden))
