"""The search every method gets: the same number of trials, each scored on the dev pools, never on test
videos.

A trial of a trained method is a learning rate, one of a method that is not trained a prompt set. All datasets
of the profile are used (draw 0, seed 0); the mean dev top-1 over them decides, the first of equals wins.
"""

from __future__ import annotations

import json
from typing import Any

from vidprism import methods, metrics, paths
from vidprism.config import Config, ConfigError
from vidprism.training.inputs import training_sets
from vidprism.training.jobs import Job, plan
from vidprism.training.parallel import side_by_side
from vidprism.training.recipe import TrainingError
from vidprism.training.tracks import open_track


def search(config: Config, method: str, backbone: str) -> dict[str, Any]:
    """Search one method on a backbone and write its file (`paths.search`): on the profile's first backbone for all that
    encode frames, and apart for each encoder of clips, whose features differ in kind.

    Returns:
        `chosen`, `trials` (value -> mean dev top-1 in percent, None if training diverged), `dev` (value ->
        dataset -> top-1), `failed` (value -> why) and what the trials had in common.

    Raises:
        ConfigError: missing draws or features, or fewer prompt sets than trials.
        TrainingError: every trial diverged.
    """
    p = config.profile
    space, values = trials(config, method)
    pairs = [(value, dataset) for value in values for dataset in p.datasets]
    frozen = p.protocol.track == "frozen"
    scores = side_by_side(
        lambda pair: _attempt(config, method, backbone, *pair), pairs, p.train.threads, f"search {method}", split=frozen
    )
    dev: dict[str, dict[str, float]] = {str(value): {} for value in values}
    failed: dict[str, str] = {}
    for (value, dataset), outcome in zip(pairs, scores, strict=True):
        if isinstance(outcome, str):
            failed[str(value)] = outcome
        else:
            dev[str(value)][dataset] = outcome
    means = {value: sum(by.values()) / len(by) for value, by in dev.items() if value not in failed}
    if not means:
        raise TrainingError(f"search of {method}: every trial diverged; the last one: {list(failed.values())[-1]}")
    chosen = next(value for value in values if means.get(str(value)) == max(means.values()))
    found = {
        "method": method,
        "space": space,
        "chosen": chosen,
        "trials": {str(v): round(means[str(v)], 3) if str(v) in means else None for v in values},
        "split": "dev",
        "dev": {value: {dataset: round(score, 3) for dataset, score in by.items()} for value, by in dev.items()},
        "failed": failed,
        "shots": p.search.shots,
        "frames": frames_of(config, backbone),
        "backbone": backbone,
        "updates": p.search.updates if space == "lr" else 0,
        "track": p.protocol.track,
    }
    path = paths.search(config, method, backbone)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return found


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


def _attempt(config: Config, method: str, backbone: str, value: float | str, dataset: str) -> float | str:
    """The trial's score, or why training diverged: an unusable learning rate is a finding, not the end of the
    search.
    """
    try:
        return score(config, method, backbone, value, dataset)
    except TrainingError as error:
        return str(error)


def score(config: Config, method: str, backbone: str, value: float | str, dataset: str) -> float:
    """Dev top-1 in percent of one trial on one dataset.

    Raises:
        TrainingError: training diverged.
    """
    p = config.profile
    run, inputs = open_track(config, p.protocol.track, dataset, frames_of(config, backbone), backbone)
    recipe, prompt_set = plan(config, method, value, p.search.updates, p.train.batch_size)
    options = methods.resolve(method, config.methods.get(method, {}), inputs.n_steps)
    training = training_sets(config, dataset, inputs, p.search.shots, (p.protocol.draw_seeds[0],))
    where = f"search of {method} at {value}, {dataset}"
    outcome = run(Job(method, options, prompt_set, recipe, training, [0], "dev", where), inputs)
    # the dev pool has one view a video, so nothing is fused
    labels = inputs.labels("dev")[inputs.usable("dev")]
    return 100.0 * float(metrics.hits(outcome.logits[0, :, 0], labels, 1).mean())
