"""Rehearse every peer of the profile paper at its full size, on random weights and clips of noise.

    python -m tools.rehearse_peers

At ViT-B/16, each peer makes one update on two clips of 8 frames, in its own recipe where the profile has one, through
the loop that trains every row of the tuned track. At ViT-L/14, it is built on torch's meta device, where tensors have
shapes and no values. Both times, the parameters that train are compared with the formula. The results are written to
reports/rehearsal-peers.json, from which `python -m tools.peers_page` takes them for docs/peers.md.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tools.gpu_check.models import Noise
from vidprism import backbones, complexity, methods
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.backbones.viclip import ViClipBackbone, with_times
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig, Config, Tuning, find_root, load_config
from vidprism.features.prompts import PROMPT_SETS
from vidprism.finetuning.loop import fit
from vidprism.finetuning.model import EndToEnd
from vidprism.runtime import progress
from vidprism.training.recipe import Recipe
from vidprism.videos.augment import augmented

FILE = Path("reports/rehearsal-peers.json")
CLIPS, FRAMES, CLASSES = 2, 8, 8
B16 = {"clip": "ViT-B-16-quickgelu", "viclip": "viclip_b16"}
L14 = {"clip": "ViT-L-14-quickgelu", "viclip": "viclip_l14"}
ON = {"etl": "viclip"}  # the encoder of the printed row, where it is not CLIP


def rehearse(config: Config, method: str) -> dict[str, Any]:
    """One update of a method at ViT-B/16, and its trained parameters at both sizes.

    Returns:
        The `loss` before the update, how many of the trained `tensors` `moved`, `update_sec`, and the number of trained
        `parameters` at both sizes.

    Raises:
        RuntimeError: the loss is not finite, nothing moved, or a formula disagrees with what was built.
    """
    key, tuned = ON.get(method, "clip"), config.profile.train.tuned
    options = methods.resolve(method, config.methods.get(method, {}), complexity.time_steps(key, B16[key], FRAMES))
    spec = BackboneConfig(key, B16[key], "B/16", RANDOM_WEIGHTS)
    backbone = backbones.load_backbone(spec)
    model = build(method, options, backbone, FRAMES, CLASSES, tuned)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    recipe, start = recipe_of(config, method), time.perf_counter()
    loss = float(fit(model, clips(recipe, backbone.image_size), recipe, CLIPS, 0, f"rehearsal of {method}").losses[0])
    seconds = time.perf_counter() - start
    moved = sum(not torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)
    found = {"B/16": trained(model), "L/14": trained_without_values(method, options, key, L14[key], FRAMES, CLASSES)}
    for size, name in (("B/16", B16[key]), ("L/14", L14[key])):
        counted = complexity.count(method, name, FRAMES, n_classes=CLASSES, options=options, key=key)
        if counted.trainable_parameters != found[size]:
            raise RuntimeError(
                f"{method} trains {found[size]} parameters at {size}, by its formula {counted.trainable_parameters}"
            )
    if not (math.isfinite(loss) and moved):
        raise RuntimeError(f"{method}: the loss is {loss}, and {moved} of {len(before)} trained tensors moved")
    return {
        "loss": round(loss, 4),
        "moved": moved,
        "tensors": len(before),
        "update_sec": round(seconds, 1),
        "parameters": found,
    }


def build(method: str, options: dict[str, Any], backbone: Any, frames: int, n_classes: int, tuned: Tuning) -> EndToEnd:
    """A method on a backbone; class names are numbers, and the texts of classes random directions."""
    words = tuple(f"class {i}" for i in range(n_classes))
    uses, sees_clips = methods.says(method, "USES"), methods.says(method, "SEES") == "clips"
    texts_CD = torch.randn(n_classes, backbone.dim, generator=torch.Generator().manual_seed(1), device="cpu")
    described = {
        kind: tuple(tuple(f"the {kind} side of {word}, {i}" for i in range(n)) for word in words)
        for kind, n in methods.description_kinds(method, options).items()
    }
    steps = frames // backbone.tubelet
    task = methods.Task(
        backbone.dim,
        n_classes,
        steps,
        nn.functional.normalize(texts_CD, dim=1).to(next(backbone.module.parameters()).device),
        backbone.logit_scale,
        words,
        PROMPT_SETS[methods.says(method, "PROMPT_SET") or "plain"],
        described,
        backbone.tower() if sees_clips or "tower" in uses else None,
        backbone.text_tower() if "text" in uses else None,
    )
    return EndToEnd(backbone, methods.build(method, task, options, 0), tuned)


def trained_without_values(
    method: str, options: dict[str, Any], key: str, model: str, frames: int, n_classes: int
) -> int:
    """How many parameters of a method train on a model of open_clip, built without values."""
    with torch.device("meta"), _Sevens():
        backbone = _without_values(key, model)
        backbone.model.requires_grad_(True)  # the method before may have frozen it
        return trained(build(method, options, backbone, frames, n_classes, Tuning()))


def recipe_of(config: Config, method: str) -> Recipe:
    """The first recipe of the method's authors that the profile has, or the profile's own, cut to one update."""
    train = config.profile.train
    common = (config.profile.search.lr[0], train.weight_decay, train.warmup, train.backbone_lr_scale, train.decay_power)
    recipe = Recipe(1, CLIPS, *common, tuned=train.tuned)
    for own in list(train.own.get(method, {}).values())[:1]:
        recipe = recipe.by_authors(own, CLIPS)
    return replace(recipe, updates=1, batch_size=CLIPS, warmup=0.0)


def clips(recipe: Recipe, side: int) -> Noise:
    """Clips of noise, changed as the recipe says."""
    made, rng = Noise(CLIPS, FRAMES, side, CLASSES), np.random.default_rng(0)
    if recipe.tuned.augment != "none":
        changed = [augmented(clip.numpy(), side, recipe.tuned.augment, rng, True) for clip in made.clips_BTSS3]
        made.clips_BTSS3 = torch.from_numpy(np.stack(changed))
    return made


def trained(model: nn.Module) -> int:
    """How many parameters train."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@cache
def _without_values(key: str, name: str) -> ClipBackbone:
    import open_clip

    model = create(name)
    model.logit_scale = nn.Parameter(torch.tensor(1.0, device="cpu"))  # a number that is read
    tokenizer = open_clip.get_tokenizer(name)
    if key == "viclip":
        return ViClipBackbone(with_times(model), tokenizer, "meta")
    return ClipBackbone(model, tokenizer, "meta")


class _Sevens(TorchDispatchMode):
    """A number that is read from a tensor without values is 7, as the length of a text might be."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        is_meta = args and isinstance(args[0], Tensor) and args[0].is_meta
        return 7 if func is torch.ops.aten._local_scalar_dense.default and is_meta else func(*args, **(kwargs or {}))


def main() -> int:
    """Rehearse all peers and write the file; exit status 0."""
    root = find_root()
    config = load_config("paper", root)
    keys = [key for key in methods.available() if methods.says(key, "IS_PEER")]
    found = {key: rehearse(config, key) for key in progress.track(keys, "peer")}
    (root / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
