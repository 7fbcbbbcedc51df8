"""The released reading gives the numbers of the released code."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.released_state import released_head

TOLERANCE = 1e-5


def close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_released_reading_reproduces_the_golden_numbers(golden, mode):
    head = released_head(golden.state, golden.rates).train(mode == "train")
    expected = golden.outputs[mode]
    output = head(golden.features, streams=True)
    close(output.logits, expected["logits"])
    close(output.expert_weights, expected["expert_weights"])
    close(output.projected, expected["projected"])
    close(output.losses["rank"], expected["rank"].squeeze())
    close(output.losses["div"], expected["released_diversity"].squeeze())
    for rate in golden.rates:
        close(output.streams["rgsta"][rate], expected[f"rgsta_r{rate}"])
        close(output.streams["dbi"][rate], expected[f"dbi_r{rate}"])


def test_released_gates_before_the_threshold(golden):
    head = released_head(golden.state, golden.rates).eval()
    close(head(golden.features, streams=True).streams["gates"], golden.outputs["eval"]["dbi_scores"])
