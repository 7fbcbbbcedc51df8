"""Pre-training of the small ViCLIP. It starts from the small CLIP, sees all frames of a clip in one sequence, and
learns from captioned clips that tell motion.

Symmetric cross-entropy between clips and captions, as in Wang et al., "InternVid", ICLR 2024, Section 4; their masking
of patches is left out. Letters: B clips, D joint width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from vidprism.backbones.viclip import FRAMES, ViClipBackbone, from_clip
from vidprism.config import Config, TowerPretrainConfig, paths
from vidprism.pretraining.captioned_clips import DOES, draw_clips
from vidprism.pretraining.clip import contrastive
from vidprism.pretraining.towers import points_of, save, take_step, tower_optimizer
from vidprism.runtime import progress
from vidprism.world.random import stream
from vidprism.world.stills import StillPool, make_pool

CHECKED = 400  # clips on which the motion words are checked before and after


def pretrain(config: Config, name: str) -> dict[str, Any]:
    """Train backbone `name` from the weights of the profile's first backbone, and save it.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, clips_seen, `curve` (a list of {"step", "loss"}), and
        `motion_percent`, how often the right one of 20 motions is the nearest text of a new clip, before and after.

    Raises:
        ValueError: the first backbone is another model.
        FloatingPointError: the loss is no longer finite.
    """
    cfg, profile = config.profile.caption_pretraining, config.profile
    base, spec = profile.backbones[profile.few_shot.backbone], profile.backbones[name]
    if base.model != spec.model:
        raise ValueError(f"params.yaml: {name} is a {spec.model}, but its training starts from {base.model}")
    torch.set_num_threads(cfg.threads)
    backbone = from_clip(replace(base, weights=paths.backbone(config, profile.few_shot.backbone)))
    pool, held_out = (make_pool(cfg.pool, profile.world.seed + shift) for shift in (0, 1))
    before = told(backbone, held_out, cfg.seed)
    losses = _train(backbone, pool, cfg)
    report = {
        "model": spec.model,
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "clips_seen": cfg.steps * cfg.batch_size,
        "motion_percent": {"before": before, "after": told(backbone, held_out, cfg.seed)},
        "curve": points_of(losses),
    }
    save(backbone.model, report, paths.pretrained(config, name))
    return report


def _train(backbone: ViClipBackbone, pool: StillPool, cfg: TowerPretrainConfig) -> list[float]:
    """The loss of every step."""
    net, rng = backbone.model.train(), stream(cfg.seed, "captioned clips")
    optimizer = tower_optimizer(net, cfg)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cfg.lr, cfg.steps, pct_start=0.1)
    losses = []
    for step in progress.track(range(cfg.steps), "update"):
        drawn = draw_clips(pool, cfg.batch_size, FRAMES, rng)
        clips_BD = backbone.encode_clips(torch.from_numpy(drawn.clips))[:, 0]
        loss = contrastive(net, clips_BD, backbone.tokenizer(drawn.captions))
        take_step(loss, net, optimizer, schedule, f"step {step}", "caption_pretraining")
        losses.append(loss.item())
    net.eval()
    return losses


@torch.inference_mode()
def told(backbone: ViClipBackbone, pool: StillPool, seed: int) -> float:
    """Percentage of clips whose motion's words are nearest to it among all motions."""
    drawn, keys = draw_clips(pool, CHECKED, FRAMES, stream(seed, "held-out clips")), list(DOES)
    clips_ND = F.normalize(backbone.encode_clips(torch.from_numpy(drawn.clips))[:, 0], dim=-1)
    nearest_N = (clips_ND @ backbone.encode_text([f"something {DOES[key]}" for key in keys]).T).argmax(dim=1)
    right = [keys[i] == motion for i, motion in zip(nearest_N.tolist(), drawn.motions, strict=True)]
    return round(100 * sum(right) / CHECKED, 2)
