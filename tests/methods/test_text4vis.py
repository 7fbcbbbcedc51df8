"""Text4Vis against a slow version, and what it becomes without its transformer."""

import math

import pytest
import torch
import torch.nn.functional as F

from vidprism import methods
from vidprism.config import ConfigError

B, T, D, C = 3, 8, 128, 5
TEXT = F.normalize(torch.randn(C, D, generator=torch.Generator().manual_seed(1)), dim=-1)
TASK = methods.Task(D, C, T, TEXT, logit_scale=20.0)
CLIPS = torch.randn(B, T, D, generator=torch.Generator().manual_seed(0))


def one_clip(head: torch.nn.Module, frames_TD: torch.Tensor) -> torch.Tensor:
    """Logits (C,) of one clip, with torch's own attention and a loop over classes."""
    x_TD = frames_TD + head.transformer.positions_PD[:T]
    for layer in head.transformer.layers:
        attention = torch.nn.MultiheadAttention(D, D // 64, batch_first=True)
        with torch.no_grad():
            attention.in_proj_weight.copy_(layer.qkv.weight)
            attention.in_proj_bias.copy_(layer.qkv.bias)
            attention.out_proj.weight.copy_(layer.out.weight)
            attention.out_proj.bias.copy_(layer.out.bias)
        y_1TD = F.layer_norm(x_TD, (D,), layer.norm1.weight, layer.norm1.bias, 1e-12)[None]
        x_TD = x_TD + attention(y_1TD, y_1TD, y_1TD, need_weights=False)[0][0]
        wide = layer.widen(F.layer_norm(x_TD, (D,), layer.norm2.weight, layer.norm2.bias, 1e-12))
        x_TD = x_TD + layer.narrow(wide / (1 + (-1.702 * wide).exp()))
    video_D = (x_TD + frames_TD).sum(dim=0) / T
    scale = 20.0 * math.exp(0.1 * float(head.scale_shift))
    return torch.stack([scale * F.cosine_similarity(video_D, text_D, dim=0) for text_D in TEXT])


@torch.no_grad()
def test_it_is_the_published_head() -> None:
    head = methods.build("text4vis", TASK, {"layers": 2}, seed=0)
    for parameter in head.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    expected = torch.stack([one_clip(head, clip) for clip in CLIPS])
    torch.testing.assert_close(head(CLIPS).logits, expected, rtol=1e-4, atol=1e-4)


def test_it_has_the_published_size() -> None:
    """18.91 M parameters in six layers at ViT-B/16's joint width of 512, 0.04 M in 77 positions; one is the scale."""
    task = methods.Task(512, 2, 8, torch.eye(2, 512), 100.0)
    sizes = {name: p.numel() for name, p in methods.build("text4vis", task, {}, seed=0).named_parameters()}
    assert sum(n for name, n in sizes.items() if "layers" in name) == 18_914_304
    assert sizes["transformer.positions_PD"] == 77 * 512 and sizes["scale_shift"] == 1


def test_without_layers_it_starts_as_zero_shot_and_is_blind_to_order() -> None:
    head = methods.build("text4vis", TASK, {"layers": 0}, seed=0)
    frames = F.normalize(CLIPS, dim=-1)  # zero-shot normalises the frames; this method the mean alone
    zero_shot = methods.build("clip_zeroshot", TASK, {}, seed=0)
    torch.testing.assert_close(head(frames).logits, zero_shot(frames).logits)
    torch.testing.assert_close(head(frames).logits, head(frames.flip(1)).logits)


def test_with_layers_it_sees_the_order() -> None:
    head = methods.build("text4vis", TASK, {}, seed=0)
    with torch.no_grad():
        head.transformer.positions_PD.mul_(50)
    assert not torch.allclose(head(CLIPS).logits, head(CLIPS.flip(1)).logits, atol=1e-3)


def test_the_scale_moves_at_a_tenth_of_the_rate() -> None:
    head = methods.build("text4vis", TASK, {"layers": 0}, seed=0)
    before = head(CLIPS).logits.detach()
    optimiser = torch.optim.AdamW(head.parameters(), lr=0.5, weight_decay=0.0)
    head.objective(head(CLIPS), torch.zeros(B, dtype=torch.long))["total"].backward()
    optimiser.step()
    ratio = (head(CLIPS).logits / before).log()  # AdamW's first step is the rate itself
    torch.testing.assert_close(ratio.abs(), torch.full_like(ratio, 0.05), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        (methods.Task(D, C, T), {}, "class texts"),
        (TASK, {"layers": -1}, "0 or more"),
        (methods.Task(D, C, 78, TEXT, 20.0), {}, "77 positions"),
        (methods.Task(202, C, T, torch.eye(C, 202), 20.0), {}, "3 heads"),
    ],
)
def test_it_refuses_what_does_not_fit(task: methods.Task, options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        methods.build("text4vis", task, options, seed=0)
