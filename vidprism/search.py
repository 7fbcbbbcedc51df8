"""The search every method gets: the same number of trials, each scored on the dev pools, never on test
videos.

A trial of a trained method is a learning rate, one of a method that is not trained a prompt set. The datasets of
`search.datasets`, or all of the profile, are used (draw 0, seed 0); the mean dev top-1 over them decides, the first of
equals wins. On the tuned track a trial keeps its state and its score in `data/work/<profile>/search/`, so that a search
that was killed goes on; they go when the search's file is written.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidprism import interruption, methods, metrics, paths
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError
from vidprism.training import lock, processes, store
from vidprism.training.determinism import workspace
from vidprism.training.inputs import Inputs, training_sets
from vidprism.training.jobs import Job, plan
from vidprism.training.parallel import side_by_side
from vidprism.training.recipe import NotWritable, TrainingError
from vidprism.training.tracks import Run, open_track

Track = tuple[Run, Inputs]
UNSCORED = "random weights: every trial ran, none was scored, and the first is taken"


def search(config: Config, method: str, backbone: str) -> dict[str, Any]:
    """Search one method on a backbone and write its file (`paths.search`): on the profile's first backbone for all that
    encode frames, and apart for each encoder of clips, whose features differ in kind.

    Returns:
        `chosen`, `trials` (value -> mean dev top-1 in percent, None if training diverged), `dev` (value ->
        dataset -> top-1), `failed` (value -> why) and what the trials had in common. On random weights no trial is
        scored: `trials` holds None, `reason` says why, and the first that ran is chosen.

    Raises:
        ConfigError: missing draws or features, or fewer prompt sets than trials.
        TrainingError: every trial diverged, a launcher started more than one process, another process runs this
            search, or its folder cannot be written (NotWritable).
        Interrupted: the process was asked to stop; finished trials and the state of the last one are kept.
    """
    interruption.watch()
    processes.one_alone(f"search of {method}", "a search")
    kept = _kept(config, method, backbone)
    with lock.alone(kept, f"search of {method} on {backbone}"):
        found = _found(config, method, backbone)
        path = paths.search(config, method, backbone)
        with store.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if kept.exists():
            shutil.rmtree(kept)
    return found


def _kept(config: Config, method: str, backbone: str) -> Path:
    """Where trials of the tuned track keep what they have done."""
    return paths.work(config, "search", f"{method}-{backbone}")


def _found(config: Config, method: str, backbone: str) -> dict[str, Any]:
    """Run the trials; what the search's file will hold."""
    p = config.profile
    space, values = trials(config, method)
    with workspace(p.train.deterministic):
        outcomes = _try_all(config, method, backbone, values)
    failed = {str(value): outcome for (value, _), outcome in outcomes.items() if isinstance(outcome, str)}
    ran = [value for value in values if str(value) not in failed]
    if not ran:
        raise TrainingError(f"search of {method}: every trial diverged; the last one: {list(failed.values())[-1]}")
    dev = {
        value: {d: outcomes[value, d] for d in datasets_of(config) if isinstance(outcomes[value, d], float)}
        for value in values
    }
    means = {value: sum(dev[value].values()) / len(dev[value]) for value in ran if dev[value]}
    unscored = p.backbones[backbone].weights == RANDOM_WEIGHTS
    return {
        "method": method,
        "space": space,
        "chosen": ran[0] if unscored else max(ran, key=means.__getitem__),
        "trials": {str(value): round(means[value], 3) if value in means else None for value in values},
        "split": "dev",
        "dev": {str(value): {d: round(score, 3) for d, score in by.items()} for value, by in dev.items()},
        "failed": failed,
        **({"reason": UNSCORED} if unscored else {}),
        "shots": p.search.shots,
        "frames": frames_of(config, backbone),
        "backbone": backbone,
        "updates": p.search.updates if space == "lr" else 0,
        "track": p.protocol.track,
    }


def _try_all(
    config: Config, method: str, backbone: str, values: list[float | str]
) -> dict[tuple[float | str, str], float | str | None]:
    """(value, dataset) -> outcome of every trial, by value. One dataset after the other, so that each is opened once
    and its class texts are encoded once.
    """
    p = config.profile
    outcomes = {(value, dataset): None for value in values for dataset in datasets_of(config)}
    for dataset in datasets_of(config):
        track = open_track(config, p.protocol.track, dataset, frames_of(config, backbone), backbone)
        found = side_by_side(
            lambda value, dataset=dataset, track=track: _attempt(config, method, track, value, dataset),
            values,
            p.train.threads,
            f"search {method}, {dataset}",
            split=p.protocol.track == "frozen",
        )
        outcomes |= {(value, dataset): outcome for value, outcome in zip(values, found, strict=True)}
    return outcomes


def datasets_of(config: Config) -> tuple[str, ...]:
    """The datasets on whose dev pools trials are scored."""
    return config.profile.search.datasets or config.profile.datasets


def frames_of(config: Config, backbone: str) -> int:
    """Frames of a clip in the search: an encoder of clips is searched at the length that its rows have."""
    video = config.profile.few_shot.video
    return video.frames if backbone in video.backbones else config.profile.search.frames


def trials(config: Config, method: str) -> tuple[str, list[float | str]]:
    """What is tried: ("lr", rates) or ("prompt_set", names), as many of one as of the other.

    Raises:
        ConfigError: fewer prompt sets than learning rates.
    """
    rates, prompts = config.profile.search.lr, config.profile.protocol.prompt_sets
    if methods.load(method).TRAINED:
        return "lr", list(rates)
    if len(prompts) < len(rates):
        raise ConfigError(
            f"params.yaml: {len(rates)} learning rates but {len(prompts)} prompt sets; every method gets the "
            "same number of trials"
        )
    return "prompt_set", list(prompts[: len(rates)])


def _attempt(config: Config, method: str, track: Track, value: float | str, dataset: str) -> float | str | None:
    """The trial's score, or why training diverged: an unusable learning rate is a finding, not the end of the
    search. A full disk is.
    """
    try:
        return score(config, method, track, value, dataset)
    except NotWritable:
        raise
    except TrainingError as error:
        return str(error)


def score(config: Config, method: str, track: Track, value: float | str, dataset: str) -> float | None:
    """Dev top-1 in percent of one trial on one dataset, whose training function and inputs are `track`; None on random
    weights, whose accuracy says nothing.

    Raises:
        TrainingError: training diverged.
    """
    p = config.profile
    run, inputs = track
    recipe, prompt_set = plan(config, method, value, p.search.updates, p.train.batch_size)
    recipe = replace(recipe, tuned=replace(recipe.tuned, strategy="ddp"))  # one process holds no shards
    options = methods.resolve(method, config.methods.get(method, {}), inputs.n_steps)
    training = training_sets(config, dataset, inputs, p.search.shots, (p.protocol.draw_seeds[0],))
    where = f"search of {method} at {value}, {dataset}"
    job = Job(method, options, prompt_set, recipe, training, [0], "dev", where)
    if p.protocol.track == "frozen":  # done in seconds: there is nothing to keep
        return _score(run, job, inputs)
    kept = _kept(config, method, inputs.backbone["name"])
    folder = store.place_of_trial(kept, config, f"{value}-{dataset}", job, inputs)
    done = store.read(folder, "")
    if done:
        return done.facts["score"]
    found = _score(run, replace(job, states=store.states(folder)), inputs)
    store.write_facts(folder, {"score": found})
    return found


def _score(run: Run, job: Job, inputs: Inputs) -> float | None:
    outcome = run(job, inputs)
    if inputs.backbone.get("weights") == RANDOM_WEIGHTS:
        return None
    # the dev pool has one view a video, so nothing is fused
    labels = inputs.labels("dev")[inputs.usable("dev")]
    return 100.0 * float(metrics.hits(outcome.logits[0, :, 0], labels, 1).mean())
