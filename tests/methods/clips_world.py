"""A small CLIP and random clips, for methods that work inside its towers."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

from vidprism import methods
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.features.prompts import PROMPT_SETS, sentences

B, T, C = 4, 8, 5
WORDS = ("rising", "falling", "turning left", "turning right", "standing still")
KEYS = [key for key in methods.available() if methods.says(key, "SEES") == "clips"]


@cache
def _model() -> tuple[object, object]:
    import open_clip

    model, rng = create("mini_clip", seed=3), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():  # no bias is zero and no norm is one, as after training
            if parameter.ndim == 1:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=rng))
    return model, open_clip.get_tokenizer("mini_clip")


def backbone() -> ClipBackbone:
    """A fresh copy of the same random weights."""
    from copy import deepcopy

    model, tokenizer = _model()
    return ClipBackbone(deepcopy(model), tokenizer)


def task(key: str, made: ClipBackbone, n_steps: int = T) -> methods.Task:
    """The task of a method that sees clips or uses a tower."""
    with torch.no_grad():
        text_CD = F.normalize(made.encode_text([sentences("video", words)[0] for words in WORDS]), dim=-1)
    uses = methods.says(key, "USES")
    tower = made.tower() if "tower" in uses or methods.says(key, "SEES") == "clips" else None
    text = made.text_tower() if "text" in uses else None
    kinds = methods.description_kinds(key, {})
    described = {kind: tuple(tuple(f"{kind} {n} of {w}" for n in range(k)) for w in WORDS) for kind, k in kinds.items()}
    templates = PROMPT_SETS[methods.says(key, "PROMPT_SET") or "plain"]
    return methods.Task(made.dim, C, n_steps, text_CD, made.logit_scale, WORDS, templates, described, tower, text)


def clips(n: int = B, n_steps: int = T, seed: int = 1) -> torch.Tensor:
    """Random pictures whose colours differ by clip and change over time, uint8 (n, T, S, S, 3)."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, n_steps, 6, 6, 3, generator=rng)
    fine = coarse.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    return (255 * fine).to(torch.uint8)
