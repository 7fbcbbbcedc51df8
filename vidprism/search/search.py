"""The search, the same for every trained method: one list of learning rates (or of inverse penalties of a logistic
regression), widened at an edge, each value scored on the dev pools and never on test videos.

The mean dev top-1 over draws and over the datasets of `search.datasets` (or all of the profile) decides. Among equals
the first one tried wins, so that a flat score does not widen the range. Rows of another track than the profile's have a
separate search (`vidprism.search.trials.setting_of`). On the tuned track, a trial keeps its state and its answers in
`data/work/<profile>/search/`, so that an interrupted search continues there; both are deleted when the search's file is
written.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from vidprism import methods
from vidprism.config import RANDOM_WEIGHTS, Config, paths
from vidprism.config.rows import GROUPS, rows
from vidprism.runtime import files, interruption, lock, processes
from vidprism.runtime.determinism import workspace
from vidprism.runtime.errors import TrainingError
from vidprism.search import trials
from vidprism.search.dev_error import DevScore, dev_score, separable
from vidprism.search.trials import Answers, SearchSetting, Trial, Value

OF_AUTHORS = "the rate of the method's authors (train.own); no trial was made"
UNSCORED = "random weights: every trial ran, none was scored, and the first one is chosen"


def search(config: Config, method: str, backbone: str, track: str = "") -> dict[str, Any]:
    """Search one method on a backbone and write its file (`paths.search`). All image encoders share the search on the
    profile's first backbone. A video encoder has a separate search, because its features differ in kind, and so has a
    track that is not the profile's own (""), because other rates are best there.

    Returns:
        `chosen`; by value `trials` (mean dev top-1 in percent, None if training diverged), `error` (its standard error
        in points, over draws and dev groups) and `dev` (dataset -> top-1); `not_separable`, the values that cannot be
        distinguished from the best; `widened`, those that were added; `at_edge`, whether the chosen number is still the
        lowest or highest tried; `failed` (value -> reason) and the settings common to all trials. On random weights no
        trial is scored: `trials` and `error` hold None, `reason` says why, and the first that ran is chosen.

    Raises:
        ConfigError: missing draws, features or manifest, a method that the track cannot train, or a list of another
            length than `search.lr`.
        TrainingError: every trial diverged, a launcher started more than one process, another process runs this
            search, or its folder cannot be written (NotWritable).
        Interrupted: the process was told to stop; finished trials and the state of the last one are kept.
    """
    interruption.watch()
    processes.one_alone(f"search of {method}", "a search")
    path = paths.search(config, method, backbone, track)
    kept = paths.work(config, "search", f"{method}-{backbone}{f'-{track}' if track else ''}")
    with lock.exclusive(kept, f"search of {method} on {backbone}"):
        found = _found(config, method, backbone, trials.setting_of(config, method, backbone, track), kept)
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if kept.exists():
            shutil.rmtree(kept)
    return found


def _found(config: Config, method: str, backbone: str, setting: SearchSetting, kept: Path) -> dict[str, Any]:
    """Run the trials and return the content of the search's file. A method whose rows all have the recipe of its
    authors has none.
    """
    rates = rates_of_authors(config, method)
    if setting.track == "tuned" and rates:
        return _of_authors(method, backbone, setting, rates[0])
    space, listed = trials.values_to_try(config, method)
    unscored = config.profile.backbones[backbone].weights == RANDOM_WEIGHTS
    has_edges = methods.is_trained(method) and not unscored  # prompt sets have no order
    tried: dict[Value, Trial] = {}
    to_try = listed
    with workspace(config.profile.train.deterministic):
        while to_try:
            tried |= trials.run_trial(config, method, backbone, setting, to_try, kept)
            best = _best(method, tried, unscored)
            added = trials.beyond(best, list(tried), listed) if has_edges else None
            to_try = [] if added is None else [added]
    tried = dict(sorted(tried.items())) if has_edges else tried
    values = list(tried)
    return {
        "method": method,
        "space": space,
        "chosen": best,
        **_scores(tried, best),
        "split": "dev",
        "widened": [value for value in values if value not in listed],
        "at_edge": has_edges and len(values) > 1 and best in (values[0], values[-1]),
        "failed": {str(value): why for value, trial in tried.items() if (why := _failure(trial))},
        **({"reason": UNSCORED} if unscored else {}),
        "draws": len(setting.draws),
        "shots": setting.shots,
        "frames": setting.frames,
        "backbone": backbone,
        "weights_sha256": next((answers.weights_sha256 for answers in _answered(tried[best]).values()), ""),
        "updates": setting.updates if space == "lr" else 0,
        "track": setting.track,
    }


def rates_of_authors(config: Config, method: str) -> list[float]:
    """The rates of a method whose rows all have the recipe of its authors; empty if one of them needs a search."""
    made = [row for group in GROUPS for row in rows(config, group).values() if row.method == method]
    return [row.own.lr for row in made if row.own] if all(row.own for row in made) else []


def _of_authors(method: str, backbone: str, setting: SearchSetting, lr: float) -> dict[str, Any]:
    """The content of the file of a search that made no trial."""
    none: dict[str, dict] = {"trials": {}, "error": {}, "dev": {}, "groups": {}, "failed": {}}
    return {
        "method": method,
        "space": "lr",
        "chosen": lr,
        **none,
        "not_separable": [],
        "split": "dev",
        "widened": [],
        "at_edge": False,
        "reason": OF_AUTHORS,
        "draws": 0,
        "shots": setting.shots,
        "frames": setting.frames,
        "backbone": backbone,
        "weights_sha256": "",
        "updates": 0,
        "track": setting.track,
    }


def _failure(trial: Trial) -> str:
    """Why training diverged on some dataset; "" if it did not."""
    return next((outcome for outcome in trial.values() if isinstance(outcome, str)), "")


def _best(method: str, tried: dict[Value, Trial], unscored: bool) -> Value:
    """The first of the best trials that ran, or the first that ran where none has a score.

    Raises:
        TrainingError: every trial diverged.
    """
    ran = [value for value, trial in tried.items() if not _failure(trial)]
    if not ran:
        why = _failure(list(tried.values())[-1])
        raise TrainingError(f"search of {method}: every trial diverged; the last one: {why}")
    return ran[0] if unscored else max(ran, key=lambda value: _score(_answered(tried[value])).mean)


def _answered(trial: Trial) -> dict[str, Answers]:
    """The datasets on which a trial has answers."""
    return {dataset: outcome for dataset, outcome in trial.items() if isinstance(outcome, Answers)}


def _score(answered: dict[str, Answers]) -> DevScore:
    found = answered.values()
    return dev_score([answers.right for answers in found], [answers.groups for answers in found])


def _scores(tried: dict[Value, Trial], best: Value) -> dict[str, Any]:
    """`trials`, `error`, `dev` and `not_separable`, by value; a trial that diverged on one dataset has no mean."""
    answered = {value: _answered(trial) for value, trial in tried.items()}
    whole = {value: _score(found) for value, found in answered.items() if found and not _failure(tried[value])}
    others = [value for value in whole if value != best]
    close = [v for v in others if not separable(_difference(answered[best], answered[v]), len(others))]
    return {
        "trials": {str(v): round(whole[v].mean, 3) if v in whole else None for v in tried},
        "error": {str(v): _rounded(whole[v].error) if v in whole else None for v in tried},
        "not_separable": close,
        "dev": {
            str(v): {d: round(100 * float(a.right.mean()), 3) for d, a in found.items()}
            for v, found in answered.items()
        },
        "groups": {d: len(set(a.groups)) for d, a in answered[best].items()},
    }


def _difference(best: dict[str, Answers], other: dict[str, Answers]) -> DevScore:
    """The paired difference of two trials over draws and dev videos."""
    rights = [best[d].right.astype(float) - other[d].right for d in best]
    return dev_score(rights, [answers.groups for answers in best.values()])


def _top1(answers: Answers) -> float:
    return round(100 * float(answers.right.mean()), 3)


def _rounded(error: float | None) -> float | None:
    return None if error is None else round(error, 3)
