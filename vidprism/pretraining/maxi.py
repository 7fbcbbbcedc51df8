"""The first stage of MAXI: both towers of a CLIP are tuned on training videos without their labels.

Each video gets the class of a dictionary that zero-shot CLIP finds nearest, and a bag of texts: the class, words for
what such a class does, and the phrases that CLIP finds nearest to the video's middle frame. The least certain tenth of
the videos is left out. The loss asks that the texts of a video's own bag together outweigh those of the batch (Lin et
al., "MAtch, eXpand and Improve", ICCV 2023, Sections 3.1 to 3.3). The dictionary are the classes of the profile's
Table 1. Words that the publication takes from GPT-3 and from captions of BLIP come here from the suite's own
descriptions and from the phrases of the small CLIP's captions.

Letters: N videos, B clips, T frames, K texts of a bag, C classes, D joint width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidprism import datasets
from vidprism.backbones.clip import ClipBackbone, build
from vidprism.config import Config, TowerPretrainConfig, paths
from vidprism.descriptions import describe
from vidprism.pretraining.captioned_clips import DOES
from vidprism.pretraining.towers import points_of, save, take_step, tower_optimizer
from vidprism.pretraining.videomae import read_videos
from vidprism.runtime import progress

FRAMES, BAG = 8, 16
KEPT = 0.9  # share of the videos, the most certain first
NEAREST = 5  # phrases of a video's middle frame
SCALE, MOST = 1 / 0.02, 1 / 0.001  # factor on cosines at the start, and its bound
VERBS = ("temporal", 4)  # the kind of the suite's sentences about a class that a bag takes, and how many


@dataclass(frozen=True)
class Unlabelled:
    """The videos that are kept: clips (N, T, S, S, 3) uint8, and the texts of each bag."""

    clips: np.ndarray
    bags: list[list[str]]


def pretrain(config: Config, name: str) -> dict[str, Any]:
    """Train backbone `name` from the weights of the profile's first backbone, and save it.

    Returns:
        What ``pretraining.json`` holds: model, steps, batch_size, clips_seen, videos, `kept` of them, `pseudo_percent`
        (how often the dictionary's class was the video's own, which the training does not know), and `curve`.

    Raises:
        ConfigError: the dataset is real and has no file of descriptions.
        FloatingPointError: the loss is no longer finite.
    """
    cfg, profile = config.profile.unlabelled_pretraining, config.profile
    torch.set_num_threads(cfg.threads)
    spec = profile.backbones[profile.few_shot.backbone]
    backbone = build(replace(spec, weights=paths.backbone(config, profile.few_shot.backbone)))
    found, n_videos, right = with_bags(config, backbone)
    losses = _train(backbone, found, cfg)
    report = {
        "model": spec.model,
        "steps": cfg.steps,
        "batch_size": cfg.batch_size,
        "clips_seen": cfg.steps * cfg.batch_size,
        "videos": n_videos,
        "kept": len(found.bags),
        "pseudo_percent": right,
        "curve": points_of(losses),
    }
    save(backbone.model, report, paths.pretrained(config, name))
    return report


@torch.inference_mode()
def with_bags(config: Config, backbone: ClipBackbone) -> tuple[Unlabelled, int, float]:
    """The kept videos with their bags, how many there were, and how many percent of the kept got their own class."""
    dataset = config.profile.closed_set.dataset
    videos = read_videos(config, dataset, backbone.image_size)["train"]
    middles = [((np.arange(FRAMES) + 0.5) * len(frames) / FRAMES).astype(int) for frames in videos.frames]
    clips = np.stack([frames[at] for frames, at in zip(videos.frames, middles, strict=True)])
    features_NTD = torch.cat([backbone.encode_clips(part) for part in torch.from_numpy(clips).split(32)])
    module, root = datasets.load_dataset(dataset), paths.dataset_root(config, dataset)
    names = module.class_names(root)
    words = [module.class_text(name) for name in names]
    texts_CD = backbone.encode_text([f"a photo of a {text}." for text in words])
    shares_NC = (backbone.logit_scale * F.normalize(features_NTD.mean(dim=1), dim=-1) @ texts_CD.T).softmax(dim=1)
    certain_N, class_N = shares_NC.max(dim=1)
    kept = certain_N.argsort(descending=True)[: round(KEPT * len(clips))].sort().values.tolist()
    phrases = list(DOES.values())
    middle_ND = F.normalize(features_NTD[:, FRAMES // 2], dim=-1)
    seen_NK = (middle_ND @ backbone.encode_text([f"something {p}" for p in phrases]).T).topk(NEAREST, dim=1).indices
    verbs = describe(config, dataset, names, dict([VERBS]))[0][VERBS[0]]
    of_class = [[text, *of_verbs] for text, of_verbs in zip(words, verbs, strict=True)]
    bags = [[*of_class[int(class_N[i])], *(phrases[k] for k in seen_NK[i].tolist())] for i in kept]
    right = float((class_N.numpy()[kept] == videos.labels[kept]).mean())
    return Unlabelled(clips[kept], bags), len(clips), round(100 * right, 2)


def _train(backbone: ClipBackbone, found: Unlabelled, cfg: TowerPretrainConfig) -> list[float]:
    """The loss of every step."""
    net, rng = backbone.model.train(), np.random.default_rng(cfg.seed)
    with torch.no_grad():
        net.logit_scale.fill_(math.log(SCALE))
    optimizer = tower_optimizer(net, cfg)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cfg.lr, cfg.steps, pct_start=0.1)
    losses = []
    for step in progress.track(range(cfg.steps), "update"):
        chosen = rng.permutation(len(found.bags))[: cfg.batch_size]
        texts = [str(text) for i in chosen for text in rng.choice(found.bags[i], BAG)]
        clips_BD = F.normalize(backbone.encode_clips(torch.from_numpy(found.clips[chosen])).mean(dim=1), dim=-1)
        texts_ND = net.encode_text(backbone.tokenizer(texts), normalize=True)
        loss = bag_loss(net.logit_scale.exp().clamp(max=MOST) * clips_BD @ texts_ND.T)
        take_step(loss, net, optimizer, schedule, f"step {step}", "unlabelled_pretraining")
        losses.append(loss.item())
    net.eval()
    return losses


def bag_loss(logits_BN: Tensor) -> Tensor:
    """Mean of -log of the share that a clip's own bag has in the softmax over all texts; N = B K, bag after bag."""
    n_clips = len(logits_BN)
    of_bags_BB = logits_BN.log_softmax(dim=1).unflatten(1, (n_clips, -1)).logsumexp(dim=2)
    return -of_bags_BB.diagonal().mean()
