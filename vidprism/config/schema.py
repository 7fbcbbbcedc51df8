"""A profile of params.yaml: its sections and the rows of its tables. The type of a field defines its allowed values."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictBool, StrictStr
from pydantic.dataclasses import dataclass

from vidprism.config.fields import STRICT, Count, CountFrom0, Counts, Names, Options, Positive, Seeds
from vidprism.config.sections import (
    AnalysisConfig,
    Augmentation,
    BackboneConfig,
    CheckConfig,
    PretrainConfig,
    ProtocolConfig,
    TowerPretrainConfig,
    TrainConfig,
    VideoPretrainConfig,
    WorldConfig,
)


@dataclass(frozen=True, config=STRICT)
class SearchConfig:
    """The search that every method gets: the same list of learning rates `lr`, or of inverse penalties `c` for a
    logistic regression, scored on the dev pools of `datasets` (empty: all) over the first `draws` of
    protocol.draw_seeds. Rows of `tuned` have a separate search with `tuned_updates` updates.
    """

    methods: dict[str, list[StrictStr]]
    lr: Annotated[tuple[Positive, ...], Field(min_length=1)]
    c: Annotated[tuple[Positive, ...], Field(min_length=1)]
    datasets: Names
    shots: Count
    frames: Count
    updates: Count
    draws: Count = 3
    tuned_updates: Count = 50


@dataclass(frozen=True, config=STRICT)
class SingleRowConfig:
    """A method on a backbone, with clips of `frames` frames; 0 is the number of the section."""

    method: StrictStr
    backbone: StrictStr
    frames: CountFrom0 = 0


@dataclass(frozen=True, config=STRICT)
class FramesRowConfig(SingleRowConfig):
    """A method on a backbone, with clips of `frames` frames."""

    frames: Count


@dataclass(frozen=True, config=STRICT)
class ClosedSetConfig:
    """Table 1: one row per method, backbone and frame count, trained on the whole training list. `more` adds rows one
    by one, and `single` those on a backbone of `few_shot.single`, which have a search of their own. Rows in `awaiting`
    are like these, and shown as not run.
    """

    dataset: StrictStr
    controls: Names
    vidprism: Names
    backbones: Names
    frames: Counts
    repeats: Seeds
    updates: Count
    more: tuple[FramesRowConfig, ...] = ()
    single: tuple[FramesRowConfig, ...] = ()
    awaiting: tuple[FramesRowConfig, ...] = ()

    @property
    def rows(self) -> list[tuple[str, str, int]]:
        """Method, backbone and number of frames of every row that is trained, in table order."""
        methods = (*self.controls, *self.vidprism)
        crossed = [(m, b, n) for m in methods for b in self.backbones for n in self.frames]
        return crossed + [(row.method, row.backbone, row.frames) for row in (*self.more, *self.single)]


@dataclass(frozen=True, config=STRICT)
class MoreRowsConfig:
    """Each of `methods` on each of `backbones`."""

    backbones: Names = ()
    methods: Names = ()


@dataclass(frozen=True, config=STRICT)
class AugmentedRowConfig:
    """A method trained on clips that are changed at random, where the profile's other rows may not be."""

    method: StrictStr
    augment: Augmentation


@dataclass(frozen=True, config=STRICT)
class ContinuedRowConfig:
    """A method whose training starts from a row of Table 1, repeat i from its repeat i."""

    method: StrictStr
    init_from: StrictStr


@dataclass(frozen=True, config=STRICT)
class VideoRowsConfig:
    """Rows of Table 2 on video encoders (VideoMAE): each of `methods` on each of `backbones`.

    Rows on the backbones in `run` are trained; the others appear in the table as not run. `inputs` is for dvc.yaml
    only: the data that the training depends on (see `Profile`).
    """

    backbones: Names = ()
    methods: Names = ()
    run: Names = ()
    datasets: Names = ()
    frames: Count = 16
    inputs: StrictStr = ""


@dataclass(frozen=True, config=STRICT)
class FeaturesConfig:
    """Which features are cached: those of every dataset from every backbone. The profile pre-trains `backbones`; the
    weights of `given` come from elsewhere (a tag of open_clip, or a file).
    """

    datasets: Names = ()
    backbones: Names = ()
    given: Names = ()


@dataclass(frozen=True, config=STRICT)
class FewShotConfig:
    """Table 2: one row per method; repeat i trains with seed i on draw i. `single` adds rows of a method on another
    backbone, with a search of their own; rows in `awaiting` are like these, and shown as not run. `augmented` and
    `continued` add rows that are trained otherwise. `more` adds the same cells on other backbones, because the paper
    does not say which backbone its table uses.
    """

    datasets: Names
    controls: Names
    vidprism: Names
    tuned_controls: Names
    tuned_vidprism: Names
    backbone: StrictStr
    frames: Count
    shots: Counts
    repeats: Seeds
    single: tuple[SingleRowConfig, ...] = ()
    awaiting: tuple[SingleRowConfig, ...] = ()
    augmented: tuple[AugmentedRowConfig, ...] = ()
    continued: tuple[ContinuedRowConfig, ...] = ()
    more: MoreRowsConfig = field(default_factory=MoreRowsConfig)
    video: VideoRowsConfig = field(default_factory=VideoRowsConfig)


@dataclass(frozen=True, config=STRICT)
class TunedConfig:
    """The cells of Table 2 that are also measured on the tuned track: each of `datasets` with each K of `shots`. Their
    search is on the same datasets with the most shots.
    """

    datasets: Names
    shots: Counts
    repeats: Seeds
    frames: Count
    updates: Count
    batch_size: Count


@dataclass(frozen=True, config=STRICT)
class AblationsConfig:
    """Tables 3 to 5 and the readings: one row per variant of one method."""

    method: StrictStr
    datasets: Names
    backbone: StrictStr
    frames: Count
    shots: Count
    repeats: Seeds
    variants: dict[str, Options]


@dataclass(frozen=True, config=STRICT)
class Profile:
    """One complete run of the suite. Its name is part of every path.

    `inputs` and `reads` are paths for dvc.yaml only: data and code that the training stages depend on besides their
    own. `also_show` names a profile whose committed numbers Tables 1 and 2 show, marked, where this one has no row of a
    printed method. `note` is a sentence for the index page.
    """

    name: StrictStr
    generated: StrictBool
    root: StrictStr
    inputs: StrictStr
    reads: StrictStr
    watch: StrictStr
    generate: Names
    pretrain: Names
    pretrain_video: Names
    pretrain_captions: Names
    pretrain_unlabelled: Names
    datasets: Names
    features: FeaturesConfig
    tables: Names
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
    caption_pretraining: TowerPretrainConfig = field(default_factory=TowerPretrainConfig)
    unlabelled_pretraining: TowerPretrainConfig = field(default_factory=TowerPretrainConfig)
    also_show: StrictStr = ""
    note: StrictStr = ""

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Names of the backbones that stages of the profile pre-train."""
        return (*self.pretrain, *self.pretrain_video, *self.pretrain_captions, *self.pretrain_unlabelled)

    @property
    def used_backbones(self) -> tuple[str, ...]:
        """Names of the backbones that the profile uses; `backbones` may define others."""
        closed_set, few_shot = self.closed_set, self.few_shot
        rows = [backbone for _, backbone, _ in closed_set.rows]
        rows += [row.backbone for row in few_shot.single]
        rows += [few_shot.backbone, *few_shot.more.backbones, *few_shot.video.backbones]
        made = (*self.pretrained, *self.features.backbones, *self.features.given)
        return tuple(dict.fromkeys((*rows, self.ablations.backbone, *made)))


@dataclasses.dataclass(frozen=True)
class Config:
    """params.yaml with one profile chosen. `published` names the profiles whose results are kept in git."""

    seed: int
    methods: dict[str, dict]
    profile: Profile
    root_dir: Path = dataclasses.field(compare=False)
    published: tuple[str, ...] = ()
