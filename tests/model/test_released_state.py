"""Loading an authors' checkpoint: complete, or refused with the names that are wrong."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.released_state import released_head


def test_every_parameter_comes_from_the_state(golden):
    torch.manual_seed(0)
    first = released_head(golden.state, golden.rates)
    torch.manual_seed(1)
    second = released_head(golden.state, golden.rates)
    assert first.reading == "released" and first.n_classes == 5
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_missing_parameter_is_named(golden):
    state = {name: value for name, value in golden.state.items() if name != "mote.experts.1.ln_2.bias"}
    with pytest.raises(ValueError, match=r"missing: mote\.experts\.1\.ln_2\.bias"):
        released_head(state, golden.rates)
    with pytest.raises(ValueError, match=r"'head\.weight'"):
        released_head({}, golden.rates)


def test_an_unknown_parameter_is_named(golden):
    with pytest.raises(ValueError, match=r"unknown: backbone\.proj"):
        released_head(golden.state | {"backbone.proj": torch.zeros(1)}, golden.rates)


def test_a_parameter_of_another_shape_is_named(golden):
    wider = golden.state | {"mote.experts.0.ffn.0.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match=r"mote\.experts\.0\.ffn\.0\.bias \(7,\) instead of \(64,\)"):
        released_head(wider, golden.rates)


def test_other_rates_than_the_states_are_refused(golden):
    with pytest.raises(ValueError, match="not a released VidPrism state for these rates"):
        released_head(golden.state, golden.rates[1:])
    with pytest.raises(ValueError, match="missing"):
        released_head(golden.state, [*golden.rates, 2 * golden.rates[-1]])
