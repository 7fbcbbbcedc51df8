"""Muon against torch's own, matrix by matrix, and what orthogonalising means."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vidprism.pretraining import muon
from vidprism.pretraining.batch_parts import one_core_each

SHAPES = ((96, 96), (96, 96), (96, 96), (384, 96), (96, 384), (64, 64))


def matrices() -> list[nn.Parameter]:
    rng = torch.Generator().manual_seed(0)
    return [nn.Parameter(0.1 * torch.randn(shape, generator=rng)) for shape in SHAPES]


def in_float32(gradient: torch.Tensor, coefficients: tuple, iterations: int, eps: float) -> torch.Tensor:
    """One matrix in float64, as torch's function does it in bfloat16."""
    a, b, c = coefficients
    x = (gradient if gradient.shape[0] <= gradient.shape[1] else gradient.T).double()
    x = x / x.norm().clamp(min=eps)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if gradient.shape[0] <= gradient.shape[1] else x.T).to(gradient)


@pytest.mark.parametrize("threads", [1, 2])
def test_steps_are_those_of_torch(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", in_float32)
    ours, theirs = matrices(), matrices()
    with one_core_each(threads) as run:
        torchs = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.3, momentum=0.8)
        optimizers = (muon.Muon(ours, 0.02, 0.3, 0.8, run, threads), torchs)
        rng = torch.Generator().manual_seed(1)
        for _ in range(4):
            for one, other in zip(ours, theirs, strict=True):
                one.grad = torch.randn(one.shape, generator=rng)
                other.grad = one.grad.clone()
            for optimizer in optimizers:
                optimizer.step()
    for one, other, before in zip(ours, theirs, matrices(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
        assert (one - before).norm() > 0.1


def test_the_number_of_cores_changes_no_bit() -> None:
    after = []
    for threads in (1, 2, 3):
        found = matrices()
        for p in found:
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
        with one_core_each(threads) as run:
            muon.Muon(found, 0.02, 0.3, 0.8, run, threads).step()
        after.append(found)
    for one, *others in zip(*after, strict=True):
        assert all(torch.equal(one, other) for other in others)


@pytest.mark.parametrize("shape", [(5, 40, 40), (2, 60, 20), (2, 20, 60)])
def test_orthogonalised_rows_or_columns(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = muon.orthogonalised(1000 * x)
    kept = torch.linalg.svdvals(x) > 0.05 * torch.linalg.svdvals(x)[:, :1]
    values = torch.linalg.svdvals(found)
    assert values.max() < 1.25 and values[kept].min() > 0.6
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(found.flatten(), (u @ vh).flatten(), dim=0) > 0.95
    torch.testing.assert_close(found, muon.orthogonalised(x), atol=1e-4, rtol=1e-3)


def test_only_matrices_are_taken() -> None:
    with one_core_each(1) as run, pytest.raises(ValueError, match=r"shape \(3,\)"):
        muon.Muon([nn.Parameter(torch.zeros(3))], 0.02, 0.0, 0.8, run)
