"""How the tuned track trains a CLIP backbone: which blocks, at which rates, with which precision and averages."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import ConfigError
from vidprism.finetuning import blocks
from vidprism.finetuning.loop import fit
from vidprism.finetuning.model import EndToEnd
from vidprism.methods import Output
from vidprism.training.recipe import Recipe, Tuning

NAMES = ["stem", "block_0", "block_1", "block_2", "block_3", "head"]
RECIPE = Recipe(4, 2, 0.01, 0.05, 0.1, backbone_lr_scale=0.5)


class Head(torch.nn.Module):
    """A linear classifier of the mean frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(dim, 3)

    def forward(self, x_BTD: torch.Tensor) -> Output:
        fused = x_BTD.mean(1)
        return Output(self.linear(fused), fused)

    def objective(self, output: Output, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"total": torch.nn.functional.cross_entropy(output.logits, labels)}


class Pictures(torch.utils.data.Dataset):
    """Six random clips of two frames, the same in every pass."""

    clips = torch.randint(0, 256, (6, 2, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.clips[i % 6], i % 3


def backbone() -> ClipBackbone:
    return ClipBackbone(create("mini_clip", seed=3), None)


def trained(tuned: Tuning, updates: int = 4) -> EndToEnd:
    made = backbone()
    model = EndToEnd(made, Head(made.dim), tuned)
    fit(model, Pictures(), replace(RECIPE, updates=updates, tuned=tuned), 2, 0, "here")
    return model


def changed(model: EndToEnd) -> set[str]:
    """Blocks with a parameter that differs from the weights at the start of the training."""
    before = backbone().blocks()
    made = ClipBackbone(create("mini_clip", seed=3), None)
    made.module.load_state_dict(model.visual.state_dict())
    pairs = zip(before, made.blocks(), strict=True)
    return {a[0] for a, b in pairs if any(not torch.equal(p, q) for p, q in zip(a[1], b[1], strict=True))}


def test_blocks_hold_each_parameter_once_in_order() -> None:
    made = backbone()
    parts = made.blocks()
    assert [name for name, _ in parts] == NAMES
    held = [id(p) for _, parameters in parts for p in parameters]
    assert len(held) == len(set(held)) and set(held) == {id(p) for p in made.module.parameters()}
    assert any(p is made.module.conv1.weight for p in parts[0][1]) and any(p is made.module.proj for p in parts[-1][1])


@pytest.mark.parametrize(
    ("tuned", "expected"),
    [
        (Tuning(), set(NAMES)),
        (Tuning("frozen"), set()),
        (Tuning("partial", ("last 2",)), {"block_3", "head"}),
        (Tuning("partial", ("stem", "block_[12]")), {"stem", "block_1", "block_2"}),
    ],
)
def test_only_the_blocks_asked_for_change(tuned: Tuning, expected: set[str]) -> None:
    model = trained(tuned)
    assert changed(model) == expected
    assert not torch.equal(model.head.linear.weight, Head(64).linear.weight)


@pytest.mark.parametrize("entry", ["block_4", "last 7", "last 0", "blok_*"])
def test_an_unknown_block_names_the_known_ones(entry: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown block '{entry.replace('*', '.')}.*block_0, .*head, stem"):
        blocks.select(backbone(), Tuning("partial", (entry,)))


def test_layer_decay_by_formula() -> None:
    made = backbone()
    groups = blocks.select(made, Tuning(layer_decay=0.5))
    assert [share for _, share in groups] == [0.5**5, 0.5**4, 0.5**3, 0.5**2, 0.5, 1.0]
    kept = blocks.select(made, Tuning("partial", ("block_1", "head"), layer_decay=0.5))
    assert [share for _, share in kept] == [0.5**3, 1.0]
    assert kept[0][0][0] is made.blocks()[2][1][0]


def test_a_decay_of_one_changes_no_bit() -> None:
    """Groups of their own for the blocks, all at the same rate: the same weights as in one group."""
    one, all_blocks = trained(Tuning()), trained(Tuning("partial", ("*",)))
    for p, q in zip(one.parameters(), all_blocks.parameters(), strict=True):
        assert torch.equal(p, q)


def test_checkpointing_gives_the_same_gradients() -> None:
    plain, saving = backbone(), backbone()
    saving.set_grad_checkpointing()
    assert saving.module.transformer.grad_checkpointing and not plain.module.transformer.grad_checkpointing
    for made in (plain, saving):
        made.encode_frames(Pictures.clips[:, 0]).square().sum().backward()
    for p, q in zip(plain.module.parameters(), saving.module.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
    asked = EndToEnd(deepcopy(plain), Head(64), Tuning(grad_checkpointing=True))
    assert asked.visual.transformer.grad_checkpointing


def test_the_average_equals_one_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    step = torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, *args: object, **kwargs: object) -> object:
        result = step(self, *args, **kwargs)
        seen.append([p.detach().clone() for group in self.param_groups for p in group["params"]])
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    model = trained(Tuning("frozen", ema_decay=0.7))
    assert len(seen) == 4
    expected = seen[0]
    for weights in seen[1:]:
        expected = [0.7 * a + 0.3 * w for a, w in zip(expected, weights, strict=True)]
    for found, by_hand in zip([model.head.linear.weight, model.head.linear.bias], expected, strict=True):
        torch.testing.assert_close(found.detach(), by_hand)
    assert not torch.equal(model.head.linear.weight, seen[-1][0])


def test_precision_on_a_device() -> None:
    assert [Tuning().precision_on(d) for d in ("cpu", "cuda", "mps")] == ["fp32", "bf16", "fp32"]
    assert Tuning(precision="bf16").precision_on("cpu") == "bf16"
    assert Tuning(precision="fp16").precision_on("cuda") == "fp16"
    with pytest.raises(ConfigError, match=r"train\.precision fp16 needs a GPU, not 'cpu'"):
        Tuning(precision="fp16").precision_on("cpu")
