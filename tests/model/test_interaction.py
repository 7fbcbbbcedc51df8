"""DBI: who talks to whom, through which gate, and what becomes of several messages."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.interaction import DBI, find_links, taps
from vidprism.model.readings import resolve_switches

B, T, D = 3, 16, 8
RATES = (2, 4, 8, 16)
NAMES = ("interaction", "slow_rule", "gate_scope", "gate_pairs", "accumulate", "shared_conv", "threshold")
CONVOLUTIONS = ("conv_kernel", "conv_padding", "interpolation")


def build(rates: tuple[int, ...] = RATES, **switches) -> DBI:
    torch.manual_seed(0)
    values = resolve_switches("paper", switches)
    return DBI(D, rates, **{name: values[name] for name in NAMES + CONVOLUTIONS}).double()


def streams(rates: tuple[int, ...] = RATES) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(B, T // rate, D).double() for rate in rates]


def message(dbi: DBI, x: list[torch.Tensor], i: int, j: int) -> torch.Tensor:
    score = dbi.gates(x)[:, dbi.gate_of[i, j], None, None]
    return score * dbi.messages[dbi.message_of[i, j]](x[i], x[j].shape[1])


@pytest.mark.parametrize(
    ("rates", "slow_rule", "n_links"),
    [
        ((2,), "relative", 0),
        ((2, 4), "relative", 2),
        (RATES, "relative", 12),
        ((2, 4), "rate8", 0),
        ((8, 16), "rate8", 0),
        ((2, 8), "rate8", 2),
        ((2, 4, 8), "rate8", 4),
        (RATES, "rate8", 8),
    ],
)
def test_links(rates, slow_rule, n_links):
    assert len(find_links(rates, "dbi", slow_rule)) == n_links
    one_way = [find_links(rates, kind, slow_rule) for kind in ("slow2fast", "fast2slow")]
    assert all(rates[i] > rates[j] for i, j in one_way[0]) and all(rates[i] < rates[j] for i, j in one_way[1])
    assert sorted(one_way[0] + one_way[1]) == sorted(find_links(rates, "dbi", slow_rule))
    assert find_links(rates, "none", slow_rule) == []


def test_rates_without_an_integer_stride_are_refused():
    with pytest.raises(ValueError, match="rates 2 and 3 cannot interact"):
        build((2, 3))
    build((2, 3), interaction="none")


def test_without_links_streams_pass_and_there_are_no_parameters():
    for dbi in (build((2,)), build(interaction="none"), build((2, 4), slow_rule="rate8")):
        x = streams(RATES[: dbi.n_streams])
        out, scores = dbi(x)
        assert scores is None and not list(dbi.parameters())
        assert all(torch.equal(a, b) for a, b in zip(out, x, strict=True))


def test_sum_adds_every_message_and_last_keeps_the_last_source_only():
    x = streams()
    added, last = build(threshold=0), build(threshold=0, accumulate="last")
    for j in range(4):
        expected = x[j] + sum(message(added, x, i, j) for i in range(4) if i != j)
        torch.testing.assert_close(added(x)[0][j], expected)
        source = 3 if j < 3 else 2
        torch.testing.assert_close(last(x)[0][j], x[j] + message(last, x, source, j))


def test_last_falls_back_to_the_last_open_source():
    dbi, x = build(accumulate="last"), streams()
    with torch.no_grad():
        dbi.gates.b2_P[dbi.gate_of[3, 0]] = -50  # closes 3 -> 0
        dbi.gates.b2_P[dbi.gate_of[2, 0]] = 50
    torch.testing.assert_close(dbi(x)[0][0], x[0] + message(dbi, x, 2, 0))


def test_closed_gates_leave_streams_alone_and_give_no_gradient():
    dbi, x = build(threshold=1), streams()
    out, scores = dbi(x)
    assert (scores < 1).all() and all(torch.equal(a, b) for a, b in zip(out, x, strict=True))


def test_gate_scopes():
    x = streams()
    score = build().gates(x)[:, 0]
    middle = float(score.detach().sort().values[1])
    by_sample, by_batch = (
        build((2, 4), threshold=middle),
        build((2, 4), threshold=middle, gate_scope="batch_mean"),
    )
    x, score = x[:2], by_sample.gates(x[:2])[:, 0]
    by_sample.threshold = by_batch.threshold = float(score.detach().sort().values[1])
    changed = (by_sample(x)[0][0] != x[0]).flatten(1).any(1)
    assert torch.equal(changed, score >= by_sample.threshold) and changed.any() and not changed.all()
    together = (by_batch(x)[0][0] != x[0]).flatten(1).any(1)
    assert together.all() or not together.any()


def test_gate_pairs():
    assert build().gates.w1_PDH.shape[0] == 6 and build(gate_pairs="directed").gates.w1_PDH.shape[0] == 12
    dbi = build(gate_pairs="directed")
    matrix = dbi.score_matrix(dbi(streams())[1])
    assert (matrix - matrix.transpose(1, 2)).abs().max() > 1e-3 and (matrix.diagonal(dim1=1, dim2=2) == 0).all()


def test_shared_convolution_is_stored_once():
    shared = {name for name, _ in build(shared_conv=True).named_parameters() if "messages" in name}
    single = {name for name, _ in build().named_parameters() if "messages" in name}
    assert len(single) == 6 * 2 + 6 and len(shared) == 2 + 6
    names = build(shared_conv=True).state_dict(keep_vars=True)
    assert len({id(parameter) for parameter in names.values()}) == len(names)  # safetensors refuses tied tensors


def test_constant_slow_stream_is_interpolated_to_itself():
    dbi = build((2, 8))
    slow = torch.randn(B, 1, D).double().expand(B, 2, D)
    out = dbi.messages["1to0"](slow, 8)
    torch.testing.assert_close(
        out,
        torch.nn.functional.linear(slow[:, :1], dbi.messages["1to0"].weight, dbi.messages["1to0"].bias).expand(B, 8, D),
    )


def test_five_taps_with_a_large_stride_miss_tokens_and_covering_taps_do_not():
    def heard(**switches) -> list[int]:
        message = build((2, 16), threshold=0, **switches).messages["0to1"]
        fast = torch.randn(1, 16, D).double().requires_grad_()
        message(fast, 2).sum().backward()
        return torch.nonzero(fast.grad.abs().sum(2)[0]).flatten().tolist()

    assert heard() == [0, 1, 2, 6, 7, 8, 9, 10]
    assert heard(conv_kernel="covering") == list(range(16))
    assert [taps("covering", stride)[0] for stride in (2, 4, 8, 16)] == [5, 5, 8, 16]
    assert taps(5, 8) == (5, (2, 2))


def test_ends_that_are_replicated_pass_a_constant_stream_unchanged():
    x = torch.randn(B, 1, D).double().expand(B, 8, D)
    padded = build((2, 8), conv_padding="replicate").messages["0to1"](x, 2)
    torch.testing.assert_close(padded[:, 0], padded[:, 1])
    zeros = build((2, 8)).messages["0to1"](x, 2)
    assert (zeros[:, 0] - zeros[:, 1]).abs().max() > 1e-3


def test_corners_put_the_ends_upon_the_ends():
    slow = torch.randn(B, 2, D).double()
    message = build((2, 8), interpolation="corners").messages["1to0"]
    out = message(slow, 8)
    exact = torch.nn.functional.linear(slow, message.weight, message.bias)
    torch.testing.assert_close(out[:, [0, -1]], exact)
    torch.testing.assert_close(out[:, 1], (6 * exact[:, 0] + exact[:, 1]) / 7)
