"""What params.yaml may hold: frozen dataclasses, one per section of a profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidprism.config.train import TrainConfig

RANDOM_WEIGHTS = "random"  # `weights` of a backbone that is rehearsed: no accuracy of it is ever shown


@dataclass(frozen=True)
class WorldConfig:
    """The generated benchmark (vidprism.world): counts, frame size and the seed of everything random in it.

    `train_per_class` is the official training list (the dev pool is held out of it later); `test_per_dataset` is
    spread evenly over the classes; `classes` keeps the first classes of each dataset only (0: all of them).
    """

    seed: int = 1024
    train_per_class: int = 64
    test_per_dataset: int = 280
    frames_min: int = 36
    frames_max: int = 40
    classes: int = 0
    processes: int = 2


@dataclass(frozen=True)
class PretrainConfig:
    """Contrastive pre-training of the small CLIP on captioned stills: a budget of steps, never of seconds."""

    steps: int = 700
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1
    pool: int = 4000
    seed: int = 7
    threads: int = 2


@dataclass(frozen=True)
class VideoPretrainConfig:
    """Masked autoencoding of the small VideoMAE on unlabelled training videos: a budget of steps, never of seconds.

    `mask_ratio` of the tokens are hidden, `painted_share` of those are painted by the decoder; in what it paints the
    deviation of a frame from the clip's mean frame counts `motion_weight` times. What begins with `muon` is for
    the matrices of the transformer layers, `lr` and `weight_decay` for all else.
    """

    steps: int = 1200
    batch_size: int = 16
    muon_lr: float = 0.02
    muon_weight_decay: float = 0.3
    muon_momentum: float = 0.8
    lr: float = 1e-3
    weight_decay: float = 0.05
    mask_ratio: float = 0.9
    painted_share: float = 0.25
    motion_weight: float = 3.0
    decoder_width: int = 64
    decoder_layers: int = 1
    decoder_heads: int = 2
    seed: int = 7
    threads: int = 2


@dataclass(frozen=True)
class BackboneConfig:
    """An encoder of frames or clips: `key` is a file of vidprism/backbones/, `size` the column of Table 1 it fills.

    `normalisation` of the pixels: the checkpoint's own, or CLIP's or ImageNet's mean and standard deviation. `frames`
    are the lengths of the clips whose features are cached (none: all of the protocol).
    """

    key: str
    model: str
    size: str
    weights: str
    normalisation: str = "checkpoint"
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class ProtocolConfig:
    """How videos become clips and scores (each value is a documented choice, see docs/protocol.md).

    `splits` gives a dataset another official split than `split`. `shot_lists` gives, per dataset and K, a file in
    data/lists that replaces the suite's own draws of K shots. With `frame_cache` "jpeg", clips are read from the cache
    of frames (vidprism.videos.frame_cache), else from the videos.
    """

    split: int
    dev_per_class: int
    shots: tuple[int, ...]
    draw_seeds: tuple[int, ...]
    frames: tuple[int, ...]
    n_clips: int
    n_crops: int
    track: str = "frozen"
    sampling: str = "segment_center"
    resize: str = "bilinear"
    prompt_sets: tuple[str, ...] = ("plain", "photo", "video", "ensemble")
    shot_lists: dict[str, dict[str, str]] = field(default_factory=dict)
    frame_cache: str = ""
    splits: dict[str, int] = field(default_factory=dict)

    def split_of(self, dataset: str) -> int:
        """The official split of a dataset that is trained and tested on."""
        return self.splits.get(dataset, self.split)


@dataclass(frozen=True)
class CheckConfig:
    """How prepare decodes every video once: worker processes (0: one a core), the time after which a video counts as
    unreadable, and whether three frames ("quick") or all ("full") of what is read by packets are compared.
    """

    processes: int = 0
    seconds_per_video: float = 30.0
    decoding: str = "quick"


@dataclass(frozen=True)
class AnalysisConfig:
    """What is decided after training, from scores stored per view: nothing here makes a training stage run again.

    `fusion` of a video's views is the mean of "logits" or of "softmax" probabilities. `subset_lists` names, per
    dataset, a file in data/lists with the test videos that several copies of the dataset have in common.
    """

    fusion: str = "logits"
    subset_lists: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchConfig:
    """The search every method gets: the same list of rates, scored on the dev pools of `datasets` (empty: all) over the
    first `draws` of protocol.draw_seeds. Rows of `tuned` have a search of their own, with `tuned_updates` updates.
    """

    methods: dict[str, list[str]]
    lr: tuple[float, ...]
    datasets: tuple[str, ...]
    shots: int
    frames: int
    updates: int
    draws: int = 3
    tuned_updates: int = 50


@dataclass(frozen=True)
class ClosedSetConfig:
    """Table 1: one row per method, backbone and frame count, trained on the whole training list."""

    dataset: str
    controls: tuple[str, ...]
    vidprism: tuple[str, ...]
    backbones: tuple[str, ...]
    frames: tuple[int, ...]
    repeats: tuple[int, ...]
    updates: int


@dataclass(frozen=True)
class MoreRowsConfig:
    """Every one of `methods` on every one of `backbones`."""

    backbones: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class VideoRowsConfig:
    """Rows of Table 2 on encoders of clips (VideoMAE): every one of `methods` on every one of `backbones`.

    Trained are those on the backbones in `run`; the others stand in the table as not run. `inputs` is, for dvc.yaml
    only, the data their training depends on (see `Profile`).
    """

    backbones: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    frames: int = 16
    inputs: str = ""


@dataclass(frozen=True)
class FeaturesConfig:
    """Whose features are cached: every dataset from every backbone. `backbones` are pre-trained by the profile, `given`
    have weights from elsewhere (a tag of open_clip, or a file).
    """

    datasets: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class FewShotConfig:
    """Table 2: one row per method; repeat i trains with seed i on draw i. `more` are the same cells on other backbones
    (the paper does not say which one its table is of).
    """

    datasets: tuple[str, ...]
    controls: tuple[str, ...]
    vidprism: tuple[str, ...]
    tuned_controls: tuple[str, ...]
    tuned_vidprism: tuple[str, ...]
    backbone: str
    frames: int
    shots: tuple[int, ...]
    repeats: tuple[int, ...]
    more: MoreRowsConfig = field(default_factory=MoreRowsConfig)
    video: VideoRowsConfig = field(default_factory=VideoRowsConfig)


@dataclass(frozen=True)
class TunedConfig:
    """The cell of Table 2 that is measured on the tuned track as well."""

    dataset: str
    shots: int
    frames: int
    updates: int
    batch_size: int


@dataclass(frozen=True)
class AblationsConfig:
    """Tables 3 to 5 and the readings: one row per variant of one method."""

    method: str
    datasets: tuple[str, ...]
    backbone: str
    frames: int
    shots: int
    repeats: tuple[int, ...]
    variants: dict[str, dict]


@dataclass(frozen=True)
class Profile:
    """One complete run of the suite; its name is part of every path.

    `inputs` and `reads` are paths for dvc.yaml only: the data and the code that the training stages depend on beside
    their own. `note` is a sentence for the index page.
    """

    name: str
    generated: bool
    root: str
    inputs: str
    reads: str
    watch: str
    generate: tuple[str, ...]
    pretrain: tuple[str, ...]
    pretrain_video: tuple[str, ...]
    datasets: tuple[str, ...]
    features: FeaturesConfig
    tables: tuple[str, ...]
    world: WorldConfig
    pretraining: PretrainConfig
    backbones: dict[str, BackboneConfig]
    protocol: ProtocolConfig
    train: TrainConfig
    search: SearchConfig
    closed_set: ClosedSetConfig
    few_shot: FewShotConfig
    tuned: TunedConfig
    ablations: AblationsConfig
    check: CheckConfig = field(default_factory=CheckConfig)
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    video_pretraining: VideoPretrainConfig = field(default_factory=VideoPretrainConfig)
    note: str = ""

    @property
    def used_backbones(self) -> tuple[str, ...]:
        """Names of the backbones that something in the profile names; `backbones` may hold others."""
        closed_set, few_shot = self.closed_set, self.few_shot
        rows = (*closed_set.backbones, few_shot.backbone, *few_shot.more.backbones, *few_shot.video.backbones)
        made = (*self.pretrain, *self.pretrain_video, *self.features.backbones, *self.features.given)
        return tuple(dict.fromkeys((*rows, self.ablations.backbone, *made)))


@dataclass(frozen=True)
class Config:
    """params.yaml with one profile chosen."""

    seed: int
    methods: dict[str, dict]
    profile: Profile
    root_dir: Path = field(compare=False)
