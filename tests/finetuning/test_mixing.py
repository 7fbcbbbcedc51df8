"""Mixed clips against slow loops, and what the objective makes of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vidprism.config import Tuning
from vidprism.finetuning import mixing
from vidprism.finetuning.microbatches import NothingRead
from vidprism.finetuning.model import EndToEnd
from vidprism.methods import Output
from vidprism.training.recipe import repeat_generator

B, T, S = 4, 3, 16


def clips(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (B, T, S, S, 3), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_a_clip_is_mixed_with_its_neighbour(seed: int) -> None:
    """Either a weighted sum, or a rectangle of all frames; the share is that of the clip itself."""
    given = clips()
    found, share = mixing.mixed(given, repeat_generator(seed))
    assert found.dtype == torch.uint8 and 0 <= share <= 1
    for b in range(B):
        own, other, made = (x.double() for x in (given[b], given[b ^ 1], found[b]))
        summed = share * own + (1 - share) * other
        if (made - summed).abs().max() <= 0.5 + 1e-3:
            continue
        pasted = ((made == other) & (made != own)).any(0).any(-1)  # pixels that differ from the own ones
        rows, columns = pasted.nonzero(as_tuple=True)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        assert torch.equal(made[:, box[0], box[1]], other[:, box[0], box[1]])
        inside = torch.zeros(S, S, dtype=torch.bool)
        inside[box] = True
        assert torch.equal(made[:, ~inside], own[:, ~inside])
        assert share == pytest.approx(1 - int(inside.sum()) / S**2)


def test_both_ways_occur_and_the_generator_decides() -> None:
    given, sums = clips(), 0
    for seed in range(40):
        found, share = mixing.mixed(given, repeat_generator(seed))
        again, _ = mixing.mixed(given, repeat_generator(seed))
        assert torch.equal(found, again)
        sums += (found[0].double() - (share * given[0].double() + (1 - share) * given[1].double())).abs().max() < 0.51
    assert 10 <= sums <= 30
    # a rectangle that is not cut off has 1 - share of the area
    assert mixing._box(16, 0.75, np.random.default_rng(3))[1] - mixing._box(16, 0.75, np.random.default_rng(3))[0] <= 8


def model(mix: str) -> EndToEnd:
    """Logits are a linear map of the mean pixel."""
    visual = nn.Linear(3, 5)
    head = nn.Module()
    head.forward = lambda x_BC: Output(x_BC, x_BC)
    head.objective = lambda output, labels_B: {"total": F.cross_entropy(output.logits, labels_B)}
    backbone = SimpleNamespace(
        module=visual,
        encode_clips=lambda x: visual(x.float().mean((1, 2, 3)) / 255),
        blocks=lambda: [("all", list(visual.parameters()))],
    )
    return EndToEnd(backbone, head, Tuning(mix=mix), seed=7)


def test_the_objective_is_the_cross_entropy_with_both_labels() -> None:
    given, labels = clips(), torch.tensor([0, 3, 2, 1])
    torch.manual_seed(0)
    made = model("mixup_cutmix")
    found = made(given, labels)
    seen, share = mixing.mixed(given, repeat_generator(7))
    logits = made.encode_clips(seen)
    soft = share * F.one_hot(labels, 5).float() + (1 - share) * F.one_hot(labels[[1, 0, 3, 2]], 5).float()
    assert found.item() == pytest.approx(F.cross_entropy(logits, soft).item(), rel=1e-5)


def test_a_clip_mixed_with_an_unreadable_one_does_not_count() -> None:
    given = clips()
    torch.manual_seed(0)
    made = model("mixup_cutmix")
    found = made(given, torch.tensor([0, -1, 2, 1]))
    _, share = mixing.mixed(given, repeat_generator(7))
    logits = made.encode_clips(mixing.mixed(given, repeat_generator(7))[0])[2:]
    wanted = share * F.cross_entropy(logits, torch.tensor([2, 1])) + (1 - share) * F.cross_entropy(
        logits, torch.tensor([1, 2])
    )
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    with pytest.raises(NothingRead):
        made(given, torch.tensor([0, -1, -1, 1]))
