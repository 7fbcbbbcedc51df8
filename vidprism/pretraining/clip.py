"""Contrastive pre-training of the small CLIP on captioned stills of the generated world.

Symmetric cross-entropy over the cosine similarities of a batch (Radford et al., 2021, Figure 3), and a term that asks
the embedding for the object's place: large image-text models know it by scale, a small one does not learn it from
captions (docs/world.md). Muon for the matrices of the transformer layers, AdamW for the rest, one-cycle learning rates.
Letters: B stills of a batch, D width of the embedding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import PretrainConfig, WorldConfig
from vidprism.pretraining.muon import Muon
from vidprism.pretraining.still_probes import probe_stills
from vidprism.runtime import progress
from vidprism.world.random import stream
from vidprism.world.stills import Stills, draw, make_pool

_MAX_LOGIT_SCALE = 100.0  # as in CLIP, section 2.5
_PLACE_SCALE = 0.35  # standard deviation of a coordinate of the stills, in half heights of the picture


def pretrain(world: WorldConfig, cfg: PretrainConfig, out_dir: Path, model: str = "mini_clip") -> dict:
    """Train a CLIP model from scratch and save it.

    Args:
        world: only its seed is used: the stills show the same world, from separate random streams.
        cfg: budget in steps, batch size, learning rates, seed. The same configuration gives the same weights
            on one machine.
        out_dir: gets ``weights.safetensors`` and ``pretraining.json``.
        model: a configuration of vidprism/backbones.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, stills_seen, parameters, logit_scale, `probes` (see
        `probe_stills`), and `curve`, a list of {"step", "loss", "place_loss"}.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    import open_clip
    from safetensors.torch import save_file

    torch.set_num_threads(cfg.threads)
    net = create(model, cfg.seed)
    encoder = ClipBackbone(net, open_clip.get_tokenizer(model))
    losses = _train(net, encoder, world, cfg)
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
        "probes": probe_stills(encoder.encode_frames, world, cfg.pool),
        "curve": [
            {"step": i, "loss": round(contrastive, 4), "place_loss": round(place, 4)}
            for i, (contrastive, place) in enumerate(losses)
            if i % 20 == 0 or i == cfg.steps - 1
        ],
    }
    (out_dir / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _train(net: Any, encoder: ClipBackbone, world: WorldConfig, cfg: PretrainConfig) -> list[tuple[float, float]]:
    """The contrastive loss and the loss of the place at every step."""
    dim = net.text_projection.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        read_place = nn.Linear(dim, 2)
    muon, adamw = _optimizers(net, read_place, cfg)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(muon, cfg.muon_lr, cfg.steps, pct_start=0.1, cycle_momentum=False),
        torch.optim.lr_scheduler.OneCycleLR(adamw, cfg.lr, cfg.steps, pct_start=0.1),
    ]
    net.train()
    losses = []
    for step, stills in enumerate(progress.track(_batches(world, cfg), "update", cfg.steps)):
        images_BD = encoder.encode_frames(torch.from_numpy(stills.images))
        of_captions = contrastive(net, images_BD, encoder.tokenizer(stills.captions))
        place = _place(read_place, images_BD, stills)
        loss = of_captions + cfg.place_weight * place
        if not torch.isfinite(loss):
            reason = f"pre-training loss is {loss.item()} at step {step}"
            raise FloatingPointError(f"{reason}; lower pretraining.lr or muon_lr in params.yaml")
        net.zero_grad()
        read_place.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        muon.step()
        adamw.step()
        for schedule in schedules:
            schedule.step()
        losses.append((of_captions.item(), place.item()))
    net.eval()
    return losses


def _batches(world: WorldConfig, cfg: PretrainConfig) -> Iterator[Stills]:
    """`cfg.steps` batches of stills; a thread draws one batch ahead."""
    pool, rng = make_pool(cfg.pool, world.seed), stream(world.seed, "stills", cfg.seed)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(draw, pool, cfg.batch_size, rng)
        for step in range(cfg.steps):
            current = coming.result()
            if step + 1 < cfg.steps:
                coming = ahead.submit(draw, pool, cfg.batch_size, rng)
            yield current


def contrastive(net: Any, images_BD: Tensor, tokens: Tensor) -> Tensor:
    """Mean of the two cross-entropies, image to caption and caption to image. Images with equal captions share the
    target.
    """
    texts_BD = net.encode_text(tokens, normalize=True)
    scale = net.logit_scale.exp().clamp(max=_MAX_LOGIT_SCALE)
    logits_BB = scale * F.normalize(images_BD, dim=-1) @ texts_BD.T
    same_BB = (tokens[:, None] == tokens[None]).all(-1).float()
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB)) / 2


def _place(read_place: Callable[[Tensor], Tensor], images_BD: Tensor, stills: Stills) -> Tensor:
    """Mean squared error of the place that a linear map reads from the layer-normed embedding, over the stills that
    show an object.
    """
    place_B2 = torch.from_numpy(np.stack([stills.place.x, stills.place.y], axis=1)).float() / _PLACE_SCALE
    error_B2 = (read_place(F.layer_norm(images_BD, images_BD.shape[-1:])) - place_B2).square()
    return error_B2[torch.from_numpy(stills.place.alpha > 0)].mean()


def _optimizers(net: nn.Module, read_place: nn.Module, cfg: PretrainConfig) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices of the transformer layers, AdamW for the rest, with weight decay only on matrices."""
    hidden = [p for name, p in net.named_parameters() if "resblocks" in name and p.ndim == 2]
    taken = {id(p) for p in hidden}
    others = [p for p in [*net.parameters(), *read_place.parameters()] if id(p) not in taken]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=cfg.lr, betas=(0.9, 0.98), fused=True)
    return Muon(hidden, cfg.muon_lr, cfg.muon_weight_decay, cfg.muon_momentum, _in_turn), adamw


def _in_turn(work: Callable[..., Any], parts: Iterable[Any]) -> list[Any]:
    return [work(part) for part in parts]
