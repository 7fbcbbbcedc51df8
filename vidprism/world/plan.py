"""Which clips a dataset has, and what is seen in each: the part of the world that is drawn before any pixel
is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprism.config import WorldConfig
from vidprism.world.classes import DATASETS, ActionClass
from vidprism.world.motions import MOTIONS, Track, track
from vidprism.world.random import stream
from vidprism.world.realpixels import GROUP_EXTRA, GROUPS_TEST, GROUPS_TRAIN, fold_of_group
from vidprism.world.render import Instance, make_instance

GROUPED = ("ucf101", "hmdb51")


@dataclass(frozen=True)
class Clip:
    """One video to make; `take` counts the clips of a class and group from 1.

    In UCF-101 and HMDB-51, whose groups are known, the clips of a group share one object and one background;
    elsewhere every clip has its own. `split` is train, test (both as in the official split 1) or extra.
    """

    dataset: str
    action: ActionClass
    split: str
    group: int
    take: int

    @property
    def source(self) -> tuple:
        """What names the object and background of this clip."""
        shared = (self.dataset, self.action.name, self.group)
        return shared if self.dataset in GROUPED else (*shared, self.take)


def classes_of(dataset: str, world: WorldConfig) -> tuple[ActionClass, ...]:
    """The classes of a dataset: the first `world.classes` of them, or all.

    Raises:
        KeyError: unknown dataset.
    """
    if dataset not in DATASETS:
        raise KeyError(f"the world has no dataset '{dataset}'; it has {', '.join(DATASETS)}")
    return DATASETS[dataset][: world.classes or None]


def clips_of(dataset: str, world: WorldConfig, extra_per_class: int = 0) -> list[Clip]:
    """Every clip of a dataset, class by class; the test groups of split 1 hold the test clips."""
    classes = classes_of(dataset, world)
    n_test = -(-world.test_per_dataset // len(classes))
    clips = []
    for action in classes:
        clips += _spread(dataset, action, "train", GROUPS_TRAIN, world.train_per_class)
        clips += _spread(dataset, action, "test", GROUPS_TEST[1], n_test)
        clips += _spread(dataset, action, "extra", (GROUP_EXTRA,), extra_per_class)
    return clips


def _spread(dataset: str, action: ActionClass, split: str, groups: Sequence[int], n: int) -> list[Clip]:
    """`n` clips over the groups as evenly as possible, group by group."""
    takes = [(group, take) for take in range(1, n // len(groups) + 2) for group in groups][:n]
    return [Clip(dataset, action, split, group, take) for group, take in sorted(takes)]


def subject(clip: Clip, seed: int) -> tuple[str, str, str]:
    """Category, colour and texture of a clip's object and background."""
    rng, action = stream(seed, "subject", *clip.source), clip.action
    return tuple(str(rng.choice(options)) for options in (action.categories, action.colours, action.textures))


def look(clip: Clip, seed: int) -> Instance:
    """The object and background of a clip: the same for all clips of its source, and for no other clip."""
    rng = stream(seed, "look", *clip.source)
    return make_instance(*subject(clip, seed), fold_of_group(clip.group), rng)


def motion_of(clip: Clip, seed: int) -> str:
    """The motion of a clip."""
    rng = stream(seed, "motion", clip.dataset, clip.action.name, clip.group, clip.take)
    return str(rng.choice(clip.action.motions))


def course(clip: Clip, world: WorldConfig) -> Track:
    """Where the object of a clip is in each of its frames."""
    motion = MOTIONS[motion_of(clip, world.seed)]
    rng = stream(world.seed, "course", clip.dataset, clip.action.name, clip.group, clip.take)
    n_frames = int(rng.integers(world.frames_min, world.frames_max, endpoint=True))
    return track(motion.path, motion.backwards, n_frames, rng)
