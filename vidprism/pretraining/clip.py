"""Contrastive pre-training of the small CLIP on captioned stills of the generated world.

Symmetric cross-entropy over the cosine similarities of a batch (Radford et al., 2021, Figure 3), AdamW,
one-cycle learning rate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import PretrainConfig, WorldConfig
from vidprism.runtime import progress
from vidprism.world.random import stream
from vidprism.world.stills import draw, make_pool

_MAX_LOGIT_SCALE = 100.0  # as in CLIP, section 2.5


def pretrain(world: WorldConfig, cfg: PretrainConfig, out_dir: Path, model: str = "mini_clip") -> dict:
    """Train a CLIP model from scratch and save it.

    Args:
        world: only its seed is used: the stills show the same world, from separate random streams.
        cfg: budget in steps, batch size, learning rate, seed. The same configuration gives the same weights
            on one machine.
        out_dir: gets ``weights.safetensors`` and ``pretraining.json``.
        model: a configuration of vidprism/backbones.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, stills_seen, parameters, logit_scale, and
        `curve`, a list of {"step", "loss"}.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    from safetensors.torch import save_file

    torch.set_num_threads(cfg.threads)
    net = create(model, cfg.seed)
    losses = _train(net, world, cfg, model)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, out_dir / WEIGHTS_FILE)
    report = {
        "model": model,
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "stills_seen": cfg.steps * cfg.batch_size,
        "parameters": sum(p.numel() for p in net.parameters()),
        "logit_scale": round(float(net.logit_scale.detach().exp()), 3),
        "curve": [{"step": i, "loss": round(x, 4)} for i, x in enumerate(losses) if i % 20 == 0 or i == cfg.steps - 1],
    }
    (out_dir / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _train(net: nn.Module, world: WorldConfig, cfg: PretrainConfig, model: str) -> list[float]:
    import open_clip

    tokenizer = open_clip.get_tokenizer(model)
    encoder = ClipBackbone(net, tokenizer)
    net.train()
    optimizer = torch.optim.AdamW(_groups(net, cfg.weight_decay), lr=cfg.lr, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cfg.lr, total_steps=cfg.steps, pct_start=0.1)
    losses = []
    for step, (images, tokens) in enumerate(progress.track(_batches(world, cfg, tokenizer), "update", cfg.steps)):
        loss = _contrastive(net, encoder.encode_frames(images), tokens)
        if not torch.isfinite(loss):
            reason = f"pre-training loss is {loss.item()} at step {step}"
            raise FloatingPointError(f"{reason}; lower pretraining.lr in params.yaml")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    net.eval()
    return losses


def _batches(
    world: WorldConfig, cfg: PretrainConfig, tokenizer: Callable[[list[str]], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """`cfg.steps` batches of stills (B, 48, 48, 3) uint8 and caption tokens; a thread draws one batch ahead."""
    pool, rng = make_pool(cfg.pool, world.seed), stream(world.seed, "stills", cfg.seed)

    def batch() -> tuple[Tensor, Tensor]:
        images, captions = draw(pool, cfg.batch_size, rng)
        return torch.from_numpy(images), tokenizer(captions)

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch)
        for step in range(cfg.steps):
            current = coming.result()
            if step + 1 < cfg.steps:
                coming = ahead.submit(batch)
            yield current


def _contrastive(net: Any, images_BD: Tensor, tokens: Tensor) -> Tensor:
    """Mean of the two cross-entropies, image to caption and caption to image. Images with equal captions share the
    target.
    """
    texts_BD = net.encode_text(tokens, normalize=True)
    scale = net.logit_scale.exp().clamp(max=_MAX_LOGIT_SCALE)
    logits_BB = scale * F.normalize(images_BD, dim=-1) @ texts_BD.T
    same_BB = (tokens[:, None] == tokens[None]).all(-1).float()
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB)) / 2


def _groups(net: nn.Module, weight_decay: float) -> Iterable[dict]:
    """Weight decay on matrices only."""
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
