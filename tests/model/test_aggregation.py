"""RgSTA and its alternatives: properties that follow from Eq. 1-7 alone."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.aggregation import Pooling, RgSTA
from vidprism.model.readings import resolve_switches

B, T, D = 3, 16, 8
NAMES = ("softmax_axis", "delta", "alpha", "tau", "score_norm", "straight_through")


def build(rate: int = 4, reading: str = "paper", **switches) -> RgSTA:
    torch.manual_seed(0)
    values = resolve_switches(reading, switches)
    return RgSTA(D, rate, **{name: values[name] for name in NAMES}).double()


def similar_frames() -> torch.Tensor:
    """Frames as a video has them: close to each other, with norms that differ."""
    torch.manual_seed(1)
    return (torch.randn(B, 1, D) + 0.1 * torch.randn(B, T, D)).double()


def kept_and_rest(module: RgSTA, x_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The kept frame of each window and the sum of the others, (B, W, D) each."""
    scores = module(x_BTD)[1]
    best = module._mix(scores).argmax(-1)[..., None, None].expand(-1, -1, 1, D)
    x_BWRD = x_BTD.unflatten(1, (-1, module.rate))
    kept = x_BWRD.gather(2, best).squeeze(2)
    return kept, x_BWRD.sum(2) - kept


@pytest.mark.parametrize("rate", [2, 4, 8, 16])
def test_released_reading_is_the_kept_frame_plus_half_the_sum_of_the_rest(rate):
    """Its weights are all about 1: the softmax over one kept frame cancels itself."""
    module, x = build(rate, "released"), similar_frames()
    kept, rest = kept_and_rest(module, x)
    torch.testing.assert_close(module(x)[0], kept + 0.5 * rest, atol=0, rtol=1e-3)
    torch.testing.assert_close(build(rate, softmax_axis="kept")(x)[0], kept + 0.5 * rest)


def test_released_weights_vanish_where_frames_are_opposite():
    """The 1e-6 under the fraction: a similarity of -1 at temperature 0.01 leaves nothing to divide."""
    module = build(2, "released", tau=0.01, delta=1)
    x = torch.randn(B, 1, D).double() * torch.tensor([1.0, -0.5]).double().view(1, 2, 1)
    with torch.no_grad():
        module.metric_proj.bias.zero_()
    kept, _ = kept_and_rest(module, x)
    torch.testing.assert_close(module(x)[0], kept)


def test_weights_over_the_rest_sum_to_one():
    module, x = build(delta=1), similar_frames()
    ones = torch.cat([x[..., :-1], torch.ones(B, T, 1).double()], dim=-1)  # a channel that only counts weights
    torch.testing.assert_close(module(ones)[0][..., -1], torch.full((B, T // 4), 2.0).double())


def test_low_temperature_merges_the_most_similar_frame_alone():
    module, x = build(delta=1, tau=1e-6), similar_frames()
    kept, _ = kept_and_rest(module, x)
    merged = module(x)[0] - kept
    distance = (x.unflatten(1, (-1, 4)) - merged.unsqueeze(2)).norm(dim=-1).amin(-1)
    assert distance.max() < 1e-9


def test_delta_zero_keeps_one_frame():
    module, x = build(delta=0), similar_frames()
    torch.testing.assert_close(module(x)[0], kept_and_rest(module, x)[0])


def test_alpha_zero_keeps_the_longest_frame():
    module, x = build(alpha=0, delta=0), similar_frames()
    longest = x.unflatten(1, (-1, 4)).norm(dim=-1).amax(-1)
    torch.testing.assert_close(module(x)[0].norm(dim=-1), longest)


@pytest.mark.parametrize("switches", [{}, {"score_norm": "zscore"}, {"softmax_axis": "window"}, {"delta": "1/(r-1)"}])
def test_a_window_of_one_frame_is_that_frame(switches):
    x = similar_frames().requires_grad_()
    out = build(1, **switches)(x)[0]
    torch.testing.assert_close(out, x)
    assert torch.isfinite(torch.autograd.grad(out.square().sum(), x)[0]).all()


def test_straight_through_changes_gradients_only():
    x = similar_frames()
    hard, soft = build(), build(straight_through=True)
    torch.testing.assert_close(hard(x)[0], soft(x)[0])
    soft(x)[0].square().sum().backward()
    assert soft.score_head[1].weight.grad.abs().max() > 0
    hard(x)[0].square().sum().backward()
    assert hard.score_head[1].weight.grad is None


def test_pooling_alternatives():
    x = similar_frames()
    windows = x.unflatten(1, (-1, 4))
    for kind, expected in {"hard": windows[:, :, 0], "avg": windows.mean(2), "max": windows.amax(2)}.items():
        out, scores = Pooling(4, kind)(x)
        assert scores is None
        torch.testing.assert_close(out, expected)
