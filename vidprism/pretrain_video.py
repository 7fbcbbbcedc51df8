"""Pre-training of the small VideoMAE on training videos of the generated world, without their labels.

Masked autoencoding with tube masks (Tong et al., "VideoMAE", NeurIPS 2022; its model and loss are transformers'): the
same patches of a frame are hidden in all frames of a clip, the encoder sees the rest, and a small decoder paints the
hidden ones. What the training was worth is then measured: a linear probe on the mean of the features, against the same
network untrained, on the dev pools. Letters: B clips, T frames, S side in pixels, P patches of a time step, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vidprism import manifest, paths, stats, video
from vidprism.backbones import NORMALISATIONS
from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.backbones.videomae import NORM_EPS, ClipEncoder, VideoMAEBackbone, create
from vidprism.config import Config, VideoPretrainConfig


def pretrain(config: Config, name: str) -> dict[str, Any]:
    """Train the encoder of backbone `name` and save it.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, clips_seen, videos, parameters, `curve` (a list of
        {"step", "loss"}) and `probe` (see `probe`).

    Raises:
        DatasetError: a dataset of the profile has not been prepared.
        FloatingPointError: the loss is no longer finite.
    """
    from safetensors.torch import save_file

    cfg, model = config.profile.video_pretraining, config.profile.backbones[name].model
    torch.set_num_threads(cfg.threads)
    encoder = create(model, cfg.seed, norm_tokens=True)
    clips = {dataset: _clips(config, dataset, encoder.shape) for dataset in config.profile.datasets}
    untrained = probe_scores(encoder, clips)
    videos = np.concatenate([clips[dataset]["train"][0] for dataset in clips])
    losses = train(encoder, videos, cfg)
    out_dir = Path(paths.backbone(config, name))
    out_dir.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, out_dir / WEIGHTS_FILE)
    report = {
        "model": model,
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "clips_seen": cfg.steps * cfg.batch_size,
        "videos": len(videos),
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "curve": [{"step": i, "loss": round(x, 4)} for i, x in enumerate(losses) if i % 20 == 0 or i == cfg.steps - 1],
        "probe": probe(probe_scores(encoder, clips), untrained),
    }
    (out_dir / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _clips(config: Config, dataset: str, shape: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Readable videos of the training list and of the dev pool: clips uint8 (N, T, S, S, 3) and labels (N,)."""
    listed, root = manifest.load(config, dataset), paths.dataset_root(config, dataset) / "videos"
    p = config.profile.protocol

    def read(path: str) -> np.ndarray:
        choices = {"sampling": p.sampling, "resize": p.resize}
        return video.load_views(root / path, shape["frames"], 1, 1, shape["image_size"], **choices)[0]

    found = {}
    for split in ("train", "dev"):
        part: pd.DataFrame = listed[(listed["split"] == split) & listed["readable"]]
        with ThreadPoolExecutor(config.profile.video_pretraining.threads) as pool:
            found[split] = np.stack(list(pool.map(read, part["path"]))), part["label"].to_numpy(int)
    return found


def train(encoder: ClipEncoder, videos: np.ndarray, cfg: VideoPretrainConfig) -> list[float]:
    """Train `encoder` in place on clips uint8 (N, T, S, S, 3); the loss of every step.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    autoencoder = _autoencoder(encoder, cfg)
    decayed = [p for p in autoencoder.parameters() if p.ndim >= 2]
    others = [p for p in autoencoder.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": cfg.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=cfg.lr, betas=(0.9, 0.95), fused=True)  # betas of masked autoencoding
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cfg.lr, total_steps=cfg.steps, pct_start=0.1)
    losses = []
    for step, (pixels, hidden) in enumerate(tqdm(_batches(encoder, videos, cfg), total=cfg.steps)):
        loss = autoencoder(pixels, hidden).loss
        if not torch.isfinite(loss):
            reason = f"video pre-training loss is {loss.item()} at step {step}"
            raise FloatingPointError(f"{reason}; lower video_pretraining.lr in params.yaml")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    encoder.eval()
    return losses


def _autoencoder(encoder: ClipEncoder, cfg: VideoPretrainConfig) -> nn.Module:
    """transformers' VideoMAE with its decoder, whose encoder and last norm are those of `encoder`."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining

    own = encoder.model.config.to_dict() | {
        "decoder_hidden_size": cfg.decoder_width,
        "decoder_num_hidden_layers": cfg.decoder_layers,
        "decoder_num_attention_heads": 4,
        "decoder_intermediate_size": 4 * cfg.decoder_width,
        "norm_pix_loss": cfg.norm_pixels,
        "layer_norm_eps": NORM_EPS,
        "use_mean_pooling": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        autoencoder = VideoMAEForPreTraining(VideoMAEConfig.from_dict(own))
    autoencoder.videomae.embeddings = encoder.model.embeddings
    autoencoder.videomae.encoder = encoder.model.encoder
    autoencoder.videomae.layernorm = encoder.norm
    return autoencoder.train()


def _batches(encoder: ClipEncoder, videos: np.ndarray, cfg: VideoPretrainConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """`cfg.steps` batches: normalised pixels (B, T, 3, S, S), and which tokens are hidden, bool (B, F P), in tubes."""
    shape, rng = encoder.shape, np.random.default_rng(cfg.seed)
    patches, n_steps = (shape["image_size"] // shape["patch_size"]) ** 2, shape["frames"] // shape["tubelet_size"]
    n_hidden = round(cfg.mask_ratio * patches)
    mean, std = (torch.tensor(v)[:, None, None] for v in NORMALISATIONS["imagenet"])
    for _ in range(cfg.steps):
        clips = torch.from_numpy(videos[rng.integers(len(videos), size=cfg.batch_size)])
        order = rng.random((cfg.batch_size, patches)).argsort(axis=1)
        hidden_BP = torch.from_numpy(order < n_hidden)
        pixels = clips.permute(0, 1, 4, 2, 3).float() / 255
        yield (pixels - mean) / std, hidden_BP.repeat(1, n_steps)


def probe_scores(
    encoder: ClipEncoder, clips: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
) -> dict[str, np.ndarray]:
    """Dataset -> right (1) or wrong (0) for each dev video, (N,): multinomial logistic regression on the standardised
    mean over time of the features, fitted on the training list.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    backbone = VideoMAEBackbone(encoder)
    found = {}
    for dataset, splits in clips.items():
        mean_ND = {}
        for split, (frames, _) in splits.items():
            with torch.inference_mode():
                mean_ND[split] = backbone.encode_clips(torch.from_numpy(frames)).mean(dim=1).numpy()
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(mean_ND["train"], splits["train"][1])
        found[dataset] = (model.predict(mean_ND["dev"]) == splits["dev"][1]).astype(np.int8)
    return found


def probe(trained: dict[str, np.ndarray], untrained: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Per dataset the probe's dev accuracies in percent, their difference with its paired interval over the videos, and
    whether the trained network is better by more than that interval.
    """
    found = []
    for dataset, right in trained.items():
        difference = stats.paired(right[None], untrained[dataset][None])
        numbers = {
            "trained": 100 * right.mean(),
            "untrained": 100 * untrained[dataset].mean(),
            "difference": difference.difference,
            "ci95_low": difference.low,
            "ci95_high": difference.high,
        }
        rounded = {key: round(float(value), 2) for key, value in numbers.items()}
        found.append({"dataset": dataset, **rounded, "n": len(right), "better": difference.low > 0})
    return found
