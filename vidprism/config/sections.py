"""The sections of a profile about data, reading and training. The type of a field defines its allowed values."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictStr
from pydantic.dataclasses import dataclass

from vidprism.config.errors import ConfigError
from vidprism.config.fields import (
    STRICT,
    Count,
    CountFrom0,
    Counts,
    From0,
    Key,
    Names,
    Positive,
    Seeds,
    Share,
    number_of_processes,
)

RANDOM_WEIGHTS = "random"  # value of `weights` for rehearsals; accuracy is hidden for random weights


@dataclass(frozen=True, config=STRICT)
class WorldConfig:
    """The generated benchmark (vidprism.world): counts, frame size and the seed of everything random in it.

    `train_per_class` is the size of the official training list (the dev pool is held out of it later).
    `test_per_dataset` is spread evenly over the classes. `classes` keeps only the first classes of each dataset (0:
    all).
    """

    seed: CountFrom0 = 1024
    train_per_class: Count = 64
    test_per_dataset: Count = 720
    frames_min: Count = 36
    frames_max: Count = 40
    classes: CountFrom0 = 0
    processes: Count = 2


@dataclass(frozen=True, config=STRICT)
class PretrainConfig:
    """Contrastive pre-training of the small CLIP on captioned stills: a budget of steps, never of seconds.

    `place_weight` is the weight of the term that asks the embedding for the object's place. Options that begin with
    `muon` apply to the matrices of the transformer layers, `lr` and `weight_decay` to all other parameters.
    """

    steps: Count = 700
    batch_size: Count = 128
    muon_lr: Positive = 0.02
    muon_weight_decay: From0 = 0.1
    muon_momentum: Share = 0.9
    lr: Positive = 2e-3
    weight_decay: From0 = 0.1
    place_weight: From0 = 1.0
    pool: Count = 4000
    seed: CountFrom0 = 7
    threads: Count = 2


@dataclass(frozen=True, config=STRICT)
class VideoPretrainConfig:
    """Masked autoencoding of the small VideoMAE on unlabelled training videos: a budget of steps, never of seconds.

    A share `mask_ratio` of the tokens is hidden, and the decoder reconstructs a share `painted_share` of those. In the
    target, the deviation of a frame from the mean frame of its clip is weighted by `motion_weight`. Options that begin
    with `muon` apply to the matrices of the transformer layers, `lr` and `weight_decay` to all other parameters.
    """

    steps: Count = 1200
    batch_size: Count = 16
    muon_lr: Positive = 0.02
    muon_weight_decay: From0 = 0.3
    muon_momentum: Share = 0.8
    lr: Positive = 1e-3
    weight_decay: From0 = 0.05
    mask_ratio: Annotated[Share, Field(gt=0)] = 0.9
    painted_share: Positive = 0.25
    motion_weight: Positive = 3.0
    decoder_width: Count = 64
    decoder_layers: Count = 1
    decoder_heads: Count = 2
    seed: CountFrom0 = 7
    threads: Count = 2


@dataclass(frozen=True, config=STRICT)
class TowerPretrainConfig:
    """Pre-training of both towers of a CLIP on clips, with captions (the small ViCLIP) or with bags of texts and
    without labels (MAXI): a budget of steps, never of seconds. `pool` outlines and backgrounds serve the captioned
    clips.
    """

    steps: Count = 600
    batch_size: Count = 32
    lr: Positive = 5e-4
    weight_decay: From0 = 0.1
    pool: Count = 2000
    seed: CountFrom0 = 7
    threads: Count = 2


@dataclass(frozen=True, config=STRICT)
class BackboneConfig:
    """An encoder of frames or clips. `key` is a file of vidprism/backbones/, `size` the column of Table 1 that it
    fills.

    `normalisation` of the pixels is that of the checkpoint, or the mean and standard deviation of CLIP or ImageNet.
    `frames` lists the clip lengths whose features are cached (empty: all of the protocol).
    """

    key: StrictStr
    model: StrictStr
    size: StrictStr
    weights: StrictStr
    normalisation: Literal["checkpoint", "clip", "imagenet"] = "checkpoint"
    frames: tuple[Count, ...] = ()


@dataclass(frozen=True, config=STRICT)
class ProtocolConfig:
    """How videos become clips and scores; docs/protocol.md explains each value.

    `splits` gives a dataset an official split other than `split`. `shot_lists` gives, per dataset and K, a file in
    data/lists that replaces the draws of the suite, and `descriptions`, per dataset, one with sentences about its
    classes (vidprism.descriptions). With `frame_cache` "jpeg", clips are read from the frame cache
    (vidprism.videos.frame_cache), otherwise from the videos.
    """

    split: Count
    dev_per_class: Count
    shots: Counts
    draw_seeds: Seeds
    frames: Counts
    n_clips: Count
    n_crops: Literal[1, 3]
    track: Literal["frozen", "tuned"] = "frozen"
    sampling: Literal["segment_center", "segment_start", "dense"] = "segment_center"
    resize: Literal["bilinear", "bicubic"] = "bilinear"
    prompt_sets: Names = ("plain", "photo", "video", "ensemble")
    shot_lists: dict[str, dict[Key, StrictStr]] = field(default_factory=dict)
    frame_cache: Literal["", "jpeg"] = ""
    descriptions: dict[str, StrictStr] = field(default_factory=dict)
    splits: dict[str, Count] = field(default_factory=dict)

    def split_of(self, dataset: str) -> int:
        """The official split used for training and testing on a dataset."""
        return self.splits.get(dataset, self.split)


@dataclass(frozen=True, config=STRICT)
class CheckConfig:
    """How the prepare stage decodes every video once: worker processes (0: one per core), the time limit after which a
    video counts as unreadable, and whether three frames ("quick") or all frames ("full") of the packet reader are
    compared.
    """

    processes: CountFrom0 = 0
    seconds_per_video: Positive = 30.0
    decoding: Literal["quick", "full"] = "quick"


@dataclass(frozen=True, config=STRICT)
class AnalysisConfig:
    """Choices made after training, from scores stored per view; none of them makes a training stage run again.

    `fusion` averages the views of a video as "logits" or as "softmax" probabilities. `subset_lists` names, per dataset,
    a file in data/lists with the test videos that several copies of the dataset share.
    """

    fusion: Literal["logits", "softmax"] = "logits"
    subset_lists: dict[str, StrictStr] = field(default_factory=dict)


Augmentation = Literal[
    "none",
    "released",
    "area",
    "multi_scale",
    "multi_scale_strong",
    "jitter",
    "rand_augment",
    "rand_augment_strong",
]
Mixing = Literal["none", "mixup_cutmix"]


@dataclass(frozen=True, config=STRICT)
class Tuning:
    """The part of a profile's `train` section that only concerns the tuned track; see docs/protocol.md."""

    tuning: Literal["full", "frozen", "partial"] = "full"
    blocks: Names = ()
    layer_decay: Annotated[Positive, Field(le=1)] = 1.0
    grad_checkpointing: StrictBool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ema_decay: Share = 0.0
    sampling: Literal["protocol", "segment_random", "dense"] = "protocol"
    augment: Augmentation = "none"
    mix: Mixing = "none"
    keep_weights: Literal["all", "head", "none"] = "all"
    non_finite: Literal["stop", "skip"] = "stop"
    accumulate: Count = 1
    deterministic: StrictBool = False
    strategy: Literal["ddp", "fsdp"] = "ddp"

    def precision_on(self, device: str) -> str:
        """The precision on a kind of device ("cuda" or "cpu"): fp32, bf16 or fp16, with `auto` resolved.

        Raises:
            ConfigError: fp16 without a GPU.
        """
        if self.precision == "fp16" and device != "cuda":
            raise ConfigError(
                f"params.yaml: train.precision fp16 needs a GPU, not '{device}'; choose auto, bf16 or fp32"
            )
        automatic = "bf16" if device == "cuda" else "fp32"
        return automatic if self.precision == "auto" else self.precision


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OwnRecipe:
    """What the authors of a method trained it with, as far as this suite builds it; rows of the tuned track only.

    `lr` is the rate of what is new (the method says at which share of it the rest trains), at a batch of `batch_size`
    clips. `epochs` and `warmup_epochs` are passes over the training clips of the row; without `epochs` it makes the
    updates of its profile. The half cosine ends at the share `floor` of the rate. `beta2` is AdamW's second beta.
    `not_built` names what is left out, in words.
    """

    lr: Positive
    batch_size: Count
    weight_decay: From0
    epochs: CountFrom0 = 0
    warmup_epochs: From0 = 0.0
    floor: Share = 0.0
    beta2: Share = 0.999
    augment: Augmentation = "none"
    mix: Mixing = "none"
    not_built: StrictStr = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig(Tuning):
    """One recipe for every trained method; the learning rate comes from the search. See docs/protocol.md, and
    docs/scaling.md for where and how a row is trained (the options from `devices` on). `own` holds the recipes of other
    publications, by method and by group of rows, in place of this one and of a searched rate.
    """

    updates: Count
    batch_size: Count
    weight_decay: From0 = 0.05
    warmup: From0 = 0.1
    decay_power: Positive = 1.0
    backbone_lr_scale: Positive = 0.1
    threads: Count = 2
    views_per_batch: Count = 32
    bad_share: Share = 0.01
    workers: CountFrom0 = 0
    devices: Annotated[Any, BeforeValidator(number_of_processes)] = "auto"
    nodes: Count = 1
    timeout_sec: Positive = 600.0
    save_every: CountFrom0 = 100
    log_every: CountFrom0 = 10
    own: dict[str, dict[Literal["closed_set", "few_shot"], OwnRecipe]] = field(default_factory=dict)

    @property
    def tuned(self) -> Tuning:
        """The options that the tuned track uses."""
        return Tuning(**{f.name: getattr(self, f.name) for f in fields(Tuning)})
