"""Pre-training of the small VideoMAE on training videos of the generated world, without their labels.

`vidprism.pretraining.masked_autoencoder` implements the method. Afterwards a linear probe on the mean of the features
is fitted on the trained network and on the same network untrained, and both answer the dev pools. Letters: N videos, U
frames of a video, B clips, T frames, S side in pixels, D width.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.backbones.videomae import ClipEncoder, VideoMAEBackbone, create
from vidprism.config import Config, VideoPretrainConfig, paths
from vidprism.pretraining.batch_parts import Run, mean_gradients, one_core_each
from vidprism.pretraining.masked_autoencoder import MaskedAutoencoder, initialise, masks
from vidprism.pretraining.muon import Muon
from vidprism.runtime import progress
from vidprism.videos import decoding, manifest
from vidprism.videos.clips import spatial_views

PROBE_C = 0.1  # inverse strength of the probe's regularisation
CLIPS_AT_ONCE = 8  # clips encoded at once by one core


class Videos(NamedTuple):
    """Videos of one split: frames, each uint8 (U, S, S, 3), labels (N,) and group numbers (N,)."""

    frames: list[np.ndarray]
    labels: np.ndarray
    groups: np.ndarray


def pretrain(config: Config, name: str) -> dict[str, Any]:
    """Train the encoder of backbone `name` and save it.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, clips_seen, videos, parameters, `curve` (a list of
        {"step", "loss"}) and `probe` (see `probe_answers`).

    Raises:
        DatasetError: a dataset of the profile has not been prepared.
        FloatingPointError: the loss is no longer finite.
    """
    from safetensors.torch import save_file

    cfg, model = config.profile.video_pretraining, config.profile.backbones[name].model
    torch.set_num_threads(cfg.threads)
    encoder = create(model, cfg.seed, norm_tokens=True)
    videos = {name: read_videos(config, name, encoder.shape["image_size"]) for name in config.profile.datasets}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        initialise(encoder)  # the network before training
    untrained = probe_scores(encoder, videos, cfg.threads)
    dev_groups = {name: splits["dev"].groups for name, splits in videos.items()}
    unlabelled = [frames for splits in videos.values() for frames in splits["train"].frames]
    losses = train(encoder, unlabelled, cfg)
    out_dir = paths.pretrained(config, name)
    out_dir.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, out_dir / WEIGHTS_FILE)
    report = {
        "model": model,
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "clips_seen": cfg.steps * cfg.batch_size,
        "videos": len(unlabelled),
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "curve": [{"step": i, "loss": round(x, 4)} for i, x in enumerate(losses) if i % 20 == 0 or i == cfg.steps - 1],
        "probe": probe_answers(probe_scores(encoder, videos, cfg.threads), untrained, dev_groups),
    }
    (out_dir / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def read_videos(config: Config, dataset: str, size_px: int) -> dict[str, Videos]:
    """All frames of the readable videos of the training list and of the dev pool, each decoded once."""
    listed, root = manifest.load_manifest(config, dataset), paths.dataset_root(config, dataset) / "videos"
    resize = config.profile.protocol.resize

    def read(path: str) -> np.ndarray:
        frames = np.concatenate(list(decoding.all_frames(root / path)))
        return spatial_views(frames, size_px, 1, resize)[0]

    found = {}
    for split in ("train", "dev"):
        part = listed[(listed["split"] == split) & listed["readable"]]
        with ThreadPoolExecutor(config.profile.video_pretraining.threads) as pool:
            frames = list(pool.map(read, part["path"]))
        found[split] = Videos(frames, part["label"].to_numpy(int), group_numbers(part["group"]))
    return found


def group_numbers(names: Iterable[str]) -> np.ndarray:
    """Number of each video's group, (N,), from its name; a video without one ("") is a group of its own."""
    keys = [f"group {name}" if name else f"video {i}" for i, name in enumerate(names)]
    return np.unique(np.array(keys, dtype=str), return_inverse=True)[1]


def train(encoder: ClipEncoder, videos: list[np.ndarray], cfg: VideoPretrainConfig) -> list[float]:
    """Train `encoder` in place on videos, each uint8 (U, S, S, 3); the loss of every step.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        autoencoder = MaskedAutoencoder(encoder, cfg).train()
    losses = []
    with one_core_each(cfg.threads) as run:
        muon, adamw = _optimizers(autoencoder, cfg, run)
        schedules = [
            torch.optim.lr_scheduler.OneCycleLR(muon, cfg.muon_lr, cfg.steps, pct_start=0.1, cycle_momentum=False),
            torch.optim.lr_scheduler.OneCycleLR(adamw, cfg.lr, cfg.steps, pct_start=0.1),
        ]
        others = [p for group in adamw.param_groups for p in group["params"]]
        for step, batch in enumerate(progress.track(_batches(encoder, videos, cfg), "update", cfg.steps)):
            loss, gradients = mean_gradients(autoencoder, batch, run, cfg.threads)
            if not math.isfinite(loss):
                reason = f"video pre-training loss is {loss} at step {step}"
                raise FloatingPointError(f"{reason}; lower video_pretraining.lr or muon_lr in params.yaml")
            for parameter, gradient in zip(autoencoder.parameters(), gradients, strict=True):
                parameter.grad = gradient
            nn.utils.clip_grad_norm_(others, 1.0)  # Muon's step does not depend on the norm of a gradient
            muon.step()
            adamw.step()
            for schedule in schedules:
                schedule.step()
            losses.append(loss)
    encoder.eval()
    return losses


def _optimizers(module: MaskedAutoencoder, cfg: VideoPretrainConfig, run: Run) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices of the transformer layers, AdamW for all other parameters, with weight decay only on
    matrices.
    """
    layers = nn.ModuleList([module.encoder.model.encoder.layer, module.layers])
    hidden = [p for p in layers.parameters() if p.ndim == 2]
    taken = {id(p) for p in hidden}
    others = [p for p in module.parameters() if id(p) not in taken]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=cfg.lr, betas=(0.9, 0.95), fused=True)
    return Muon(hidden, cfg.muon_lr, cfg.muon_weight_decay, cfg.muon_momentum, run, cfg.threads), adamw


def _batches(encoder: ClipEncoder, videos: list[np.ndarray], cfg: VideoPretrainConfig) -> Iterator[tuple[Tensor, ...]]:
    """`cfg.steps` batches: clips uint8 (B, T, S, S, 3), and the visible and painted tokens. A clip is T evenly spaced
    frames with a random offset; the videos come in shuffled passes.
    """
    n_tokens, t = encoder.model.embeddings.num_patches, encoder.shape["frames"]
    numpy_rng, torch_rng = np.random.default_rng(cfg.seed), torch.Generator().manual_seed(cfg.seed)
    order: list[int] = []
    for _ in range(cfg.steps):
        while len(order) < cfg.batch_size:
            order += numpy_rng.permutation(len(videos)).tolist()
        chosen, order = order[: cfg.batch_size], order[cfg.batch_size :]
        clips = np.stack([videos[i][_even(len(videos[i]), t, numpy_rng.random())] for i in chosen])
        yield torch.from_numpy(clips), *masks(cfg.batch_size, n_tokens, cfg, torch_rng)


def _even(n_frames: int, t: int, offset: float) -> np.ndarray:
    return np.minimum((np.arange(t) + offset) * n_frames / t, n_frames - 1).astype(int)


def probe_scores(encoder: ClipEncoder, videos: dict[str, dict[str, Videos]], threads: int = 1) -> dict[str, np.ndarray]:
    """Dataset -> right (1) or wrong (0) for each dev video, (N,), from multinomial logistic regression on the
    standardised mean of the features over time, fitted on the training list.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    backbone, t, found = VideoMAEBackbone(encoder), encoder.shape["frames"], {}
    for dataset, splits in videos.items():
        mean_ND = {}
        for split, of_split in splits.items():
            clips = np.stack([frames[_even(len(frames), t, 0.5)] for frames in of_split.frames])
            with one_core_each(threads) as run:
                parts = run(lambda part: _encode(backbone, part), torch.from_numpy(clips).split(CLIPS_AT_ONCE))
            mean_ND[split] = torch.cat(parts).mean(dim=1).numpy()
        model = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_C, max_iter=1000))
        model.fit(mean_ND["train"], splits["train"].labels)
        found[dataset] = (model.predict(mean_ND["dev"]) == splits["dev"].labels).astype(np.int8)
    return found


@torch.inference_mode()
def _encode(backbone: VideoMAEBackbone, clips: Tensor) -> Tensor:
    return backbone.encode_clips(clips)


def probe_answers(
    trained: dict[str, np.ndarray], untrained: dict[str, np.ndarray], groups: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """The answers of the linear probe per dataset: dev accuracies in percent on the trained and on the untrained
    network, and the data to compare them in `vidprism.evaluation.video_check`: right (1) or wrong (0) for each dev
    video, as text, and the number of its group.
    """
    return [
        {
            "dataset": dataset,
            "trained": round(100 * float(right.mean()), 2),
            "untrained": round(100 * float(untrained[dataset].mean()), 2),
            "trained_right": "".join(map(str, right)),
            "untrained_right": "".join(map(str, untrained[dataset])),
            "groups": groups[dataset].tolist(),
        }
        for dataset, right in trained.items()
    ]
