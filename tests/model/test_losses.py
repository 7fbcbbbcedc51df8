"""Losses: their minima, and what the released diversity really pulls on."""

from __future__ import annotations

import pytest
import torch

from vidprism.model.aggregation import Scores
from vidprism.model.losses import DIVERSITY, gate_loss, rank_loss, text_loss


def scores(pred: torch.Tensor, norm: torch.Tensor) -> Scores:
    sim = torch.eye(pred.shape[-1]).expand(*pred.shape, -1)
    return Scores(pred, norm, sim)


def test_gate_loss_is_one_for_balanced_use_and_n_for_a_single_expert():
    torch.manual_seed(0)
    assert gate_loss(torch.full((6, 4), 0.25)) == 1
    assert gate_loss(torch.eye(4)) == 1  # balance is asked of the batch, not of a video
    assert gate_loss(torch.eye(4)[:1].expand(6, 4)) == 4
    usage = torch.rand(50, 4)
    assert gate_loss(usage / usage.sum(1, keepdim=True)) > 1


def test_rank_loss_is_zero_exactly_where_prediction_and_target_agree():
    norm = torch.tensor([[[1.0, 2.0, 4.0]]])
    assert rank_loss(scores(norm + 7, norm), "norm+sim", 0.2) == pytest.approx(0, abs=1e-6)
    assert rank_loss(scores(-norm, norm), "norm+sim", 0.2) > 1
    assert rank_loss(scores(torch.zeros(1, 1, 3), norm), "sim", 0.2) == pytest.approx(0, abs=1e-6)


def test_rank_loss_is_torchs_kl_divergence():
    torch.manual_seed(0)
    pred, norm = torch.randn(2, 3, 4), torch.rand(2, 3, 4)
    expected = torch.nn.functional.kl_div(
        (pred / 0.5).log_softmax(-1).flatten(0, 1),
        ((norm + 0.25) / 0.5).softmax(-1).flatten(0, 1),
        reduction="batchmean",
    )
    torch.testing.assert_close(rank_loss(scores(pred, norm), "norm+sim", 0.5), expected)


def test_expert_diversity_is_least_for_different_experts():
    alike = torch.randn(5, 1, 8).expand(5, 4, 8)
    orthogonal = torch.eye(4, 8).expand(5, 4, 8)
    opposite = torch.randn(5, 1, 8) * torch.tensor([1.0, -1.0]).view(1, 2, 1)
    for name in ("expert_cos2", "expert_cos"):
        assert DIVERSITY[name](alike) == pytest.approx(1, abs=1e-5) and DIVERSITY[name](orthogonal) == 0
        assert DIVERSITY[name](alike[:, :1]) == 0  # a single expert has no pair
    assert DIVERSITY["expert_cos2"](opposite) == pytest.approx(1, abs=1e-5)
    assert DIVERSITY["expert_cos"](opposite) == pytest.approx(-1, abs=1e-5)


def test_released_diversity_looks_at_videos_and_not_at_experts():
    torch.manual_seed(0)
    released = DIVERSITY["sample_1mcos"]
    same_videos = torch.randn(1, 4, 8).expand(5, 4, 8)  # four different experts
    same_experts = torch.randn(5, 1, 8).expand(5, 4, 8)  # five different videos
    assert released(same_videos) == pytest.approx(0, abs=1e-5) and released(same_experts) > 0.5
    assert released(torch.randn(1, 4, 8)) == 0


def test_text_loss_prefers_the_right_text_and_ignores_lengths():
    text = torch.eye(3)
    right, wrong = (
        text_loss(text * 5, text * 2, labels) for labels in (torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0]))
    )
    assert right < wrong
    torch.testing.assert_close(right, text_loss(text, text, torch.tensor([0, 1, 2])))
