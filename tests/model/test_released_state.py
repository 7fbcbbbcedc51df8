"""Loading an authors' checkpoint: complete, or refused with the names that are wrong."""

from __future__ import annotations

import pytest
import torch

from vidprism.model import VidPrismHead


def test_every_parameter_comes_from_the_state(golden):
    torch.manual_seed(0)
    first = VidPrismHead.from_released_state(golden.state, golden.rates)
    torch.manual_seed(1)
    second = VidPrismHead.from_released_state(golden.state, golden.rates)
    assert first.reading == "released" and first.n_classes == 5
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_missing_parameter_is_named(golden):
    state = {name: value for name, value in golden.state.items() if name != "mote.experts.1.ln_2.bias"}
    with pytest.raises(ValueError, match=r"missing: mote\.experts\.1\.ln_2\.bias"):
        VidPrismHead.from_released_state(state, golden.rates)
    with pytest.raises(ValueError, match=r"'head\.weight'"):
        VidPrismHead.from_released_state({}, golden.rates)


def test_an_unknown_parameter_is_named(golden):
    with pytest.raises(ValueError, match=r"unknown: backbone\.proj"):
        VidPrismHead.from_released_state(golden.state | {"backbone.proj": torch.zeros(1)}, golden.rates)


def test_a_parameter_of_another_shape_is_named(golden):
    wider = golden.state | {"mote.experts.0.ffn.0.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match=r"mote\.experts\.0\.ffn\.0\.bias \(7,\) instead of \(64,\)"):
        VidPrismHead.from_released_state(wider, golden.rates)


def test_other_rates_than_the_states_are_refused(golden):
    with pytest.raises(ValueError, match="not a released VidPrism state for these rates"):
        VidPrismHead.from_released_state(golden.state, golden.rates[1:])
    with pytest.raises(ValueError, match="missing"):
        VidPrismHead.from_released_state(golden.state, [*golden.rates, 2 * golden.rates[-1]])
