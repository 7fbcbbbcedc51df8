"""The trials of a search: what is tried on which data, which value comes next at an edge, and the answers of one trial.

A trial is a learning rate, the inverse penalty of a logistic regression, or the prompt set of a method that is not
trained, as `SEARCHED` of the method says. It trains the first `search.draws` draws, draw i with seed i, stacked in one
job on cached features, and answers the videos of the dev pool. Shapes: R draws, N readable dev videos.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vidprism import methods
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError, paths
from vidprism.records import scores
from vidprism.runs import finished_cells
from vidprism.runs.tracks import Run, open_track
from vidprism.runtime import progress
from vidprism.runtime.errors import NotWritable, TrainingError
from vidprism.runtime.threads import run_in_threads
from vidprism.training.inputs import Inputs, training_sets
from vidprism.training.job import Job, plan

Track = tuple[Run, Inputs]
Value = Any  # a learning rate or an inverse penalty (float), or the name of a prompt set (str)
WORDS = {"lr": "learning rates", "c": "values of c", "prompt_set": "prompt sets"}  # by what a method's search tries
WIDENINGS = 2  # how many values may be added at each edge


class Answers(NamedTuple):
    """Which dev videos of a dataset were answered correctly (R, N), the group of each (N,), which is the name of the
    video itself if there are no groups, and the hash of the backbone's weights.
    """

    right: np.ndarray
    groups: np.ndarray
    weights_sha256: str = ""


# Dataset -> answers, None on random weights, or the reason why training diverged.
Trial = dict[str, Answers | str | None]


@dataclass(frozen=True)
class SearchSetting:
    """The settings common to all trials of a search; `shots` per class, `draws` by number."""

    track: str
    datasets: tuple[str, ...]
    shots: int
    frames: int
    updates: int
    batch_size: int
    draws: tuple[int, ...]


def setting_of(config: Config, method: str, backbone: str, track: str = "") -> SearchSetting:
    """The setting of a method's search on the profile's own track (""), or on another one, where it is that of the
    cells of `tuned` with the most shots, and with `search.tuned_updates` updates. A method that is not trained uses a
    single draw.

    Raises:
        ConfigError: the track cannot train the method.
    """
    p = config.profile
    track = track or p.protocol.track
    methods.check_track(method, track)
    draws = p.protocol.draw_seeds[: p.search.draws if methods.is_trained(method) else 1]
    if track != p.protocol.track:
        cells = p.tuned
        sizes = cells.frames, p.search.tuned_updates, cells.batch_size
        return SearchSetting(track, cells.datasets, max(cells.shots), *sizes, draws)
    datasets, frames = p.search.datasets or p.datasets, frames_of(config, backbone)
    return SearchSetting(track, datasets, p.search.shots, frames, p.search.updates, p.train.batch_size, draws)


def frames_of(config: Config, backbone: str) -> int:
    """Frames of a clip in the search. A video encoder is searched at the clip length of its rows."""
    video = config.profile.few_shot.video
    return video.frames if backbone in video.backbones else config.profile.search.frames


def values_to_try(config: Config, method: str) -> tuple[str, list[Value]]:
    """What the method's search tries ("lr", "c" or "prompt_set") and the first values: numbers from low to high, or
    names of prompt sets, as many as there are learning rates.

    Raises:
        ConfigError: fewer prompt sets than learning rates, or fewer or more values of c.
    """
    asked, space = config.profile.search, methods.load_method(method).SEARCHED
    prompts = config.profile.protocol.prompt_sets[: len(asked.lr)]
    values: dict[str, list[Value]] = {"lr": sorted(asked.lr), "c": sorted(asked.c), "prompt_set": list(prompts)}
    first = values[space]
    if len(first) != len(asked.lr):
        raise ConfigError(
            f"params.yaml: {len(asked.lr)} learning rates but {len(first)} {WORDS[space]}; every method starts with "
            "the same number of trials"
        )
    return space, first


def beyond(best: float, tried: Sequence[float], listed: Sequence[float]) -> float | None:
    """The number to try next if the best one is the lowest or the highest tried: the next of 1, 3, 10, 30, ... outside
    the range, at most `WIDENINGS` on each side of the list. None if the best has neighbours on both sides, if the edge
    has been moved that often, or if the list holds a single number, which is a choice and not a range.
    """
    if len(listed) < 2:
        return None
    exponent = math.floor(math.log10(best))
    steps = [float(f"{digit}e{e}") for e in range(exponent - 1, exponent + 2) for digit in (1, 3)]
    below, above = sum(number < min(listed) for number in tried), sum(number > max(listed) for number in tried)
    if best == min(tried) and below < WIDENINGS:
        return max(step for step in steps if step < best * (1 - 1e-9))
    if best == max(tried) and above < WIDENINGS:
        return min(step for step in steps if step > best * (1 + 1e-9))
    return None


def run_trial(
    config: Config, method: str, backbone: str, setting: SearchSetting, to_try: list[Value], kept: Path
) -> dict[Value, Trial]:
    """Run the trials of some values, one dataset after the other, so that each dataset is opened once and its class
    texts are encoded once. Trials of the tuned track keep their work in `kept`.
    """
    found: dict[Value, Trial] = {value: {} for value in to_try}
    for dataset in progress.track(setting.datasets, "dataset"):
        track = open_track(config, setting.track, dataset, setting.frames, backbone)
        outcomes = run_in_threads(
            partial(_attempt, config, method, setting, track, dataset, kept),
            to_try,
            config.profile.train.threads,
            "trial",
            split=setting.track == "frozen",
        )
        for value, outcome in zip(to_try, outcomes, strict=True):
            found[value][dataset] = outcome
    return found


def _attempt(
    config: Config, method: str, setting: SearchSetting, track: Track, dataset: str, kept: Path, value: Value
) -> Answers | str | None:
    """The trial's answers, or the reason why training failed: an unusable value is a finding and does not end the
    search. A full disk does.
    """
    try:
        return answer(config, method, setting, track, value, dataset, kept)
    except NotWritable:
        raise
    except TrainingError as error:
        return str(error)


def answer(
    config: Config, method: str, setting: SearchSetting, track: Track, value: Value, dataset: str, kept: Path
) -> Answers | None:
    """Train all draws of one trial on one dataset, with the training function and inputs `track`, and answer its dev
    pool. None on random weights, whose answers are meaningless.

    Raises:
        ConfigError: a draw is missing, or the dataset has not been prepared.
        TrainingError: training diverged.
    """
    run_job, inputs = track
    recipe, prompt_set = plan(config, method, value, setting.updates, setting.batch_size)
    recipe = replace(recipe, tuned=replace(recipe.tuned, strategy="ddp"))  # a single process holds no shards
    options = methods.resolve(method, config.methods.get(method, {}), inputs.n_steps)
    training = training_sets(config, dataset, inputs, setting.shots, setting.draws)
    where = f"search of {method} at {value}, {dataset}"
    job = Job(method, options, prompt_set, recipe, training, list(setting.draws), "dev", where)
    if setting.track == "frozen":  # takes seconds, so there is nothing to keep
        right = _right(run_job, job, inputs)
    else:
        folder = finished_cells.place_of_trial(kept, config, f"{value}-{dataset}", job, inputs)
        done = finished_cells.read_cell(folder, "")
        if done is None:
            found = _right(run_job, replace(job, states=finished_cells.states(folder)), inputs)
            finished_cells.write_facts(folder, {"right": None if found is None else found.astype(int).tolist()})
            done = finished_cells.read_cell(folder, "")
        answered = done.facts["right"] if done else None
        right = None if answered is None else np.array(answered, bool)
    if right is None:
        return None
    return Answers(right, _groups(config, dataset, inputs), inputs.backbone.get("weights_sha256", ""))


def _right(run_job: Run, job: Job, inputs: Inputs) -> np.ndarray | None:
    """Whether each draw answers each dev video correctly (R, N); the dev pool has one view per video."""
    logits_RNC = run_job(job, inputs).logits[:, :, 0]
    if inputs.backbone.get("weights") == RANDOM_WEIGHTS:
        return None
    labels = inputs.labels("dev")[inputs.usable("dev")]
    return np.stack([scores.hits(logits_NC, labels, 1) for logits_NC in logits_RNC])


def _groups(config: Config, dataset: str, inputs: Inputs) -> np.ndarray:
    """The groups of the readable dev videos (N,), from the manifest.

    Raises:
        ConfigError: the dataset has not been prepared, or its manifest lists other videos.
    """
    path = paths.manifest(config, dataset) / "manifest.csv"
    videos = inputs.index("dev")["video_id"][inputs.usable("dev")].astype(str)
    listed = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame({"video_id": []})
    lost = set(videos) - set(listed["video_id"])
    if lost:
        raise ConfigError(f"{path} does not list the dev video {min(lost)}; run the prepare stage of {dataset} first")
    group = dict(zip(listed["video_id"], listed["group"], strict=True))
    return np.array([group[video] or video for video in videos])
