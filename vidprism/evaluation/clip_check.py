"""Check what the small CLIP has learned, and what it cannot have learned, from cached features of generated videos.

It must know the objects (zero-shot accuracy on mini-UCF), and single frames must not show motion: between two opposite
classes, which only differ in the direction or rhythm of their motion, zero-shot and a linear probe on the mean of the
frames must guess.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from vidprism.config import Config, paths
from vidprism.features.store import FeatureStore, open_store

LEVEL = 0.95


@dataclass(frozen=True)
class PooledVideos:
    """Mean frame feature of each readable video, (N, D) float32, and its label, (N,)."""

    x_ND: np.ndarray
    y_N: np.ndarray


def check_learned(config: Config, backbone: str) -> dict:
    """The facts about the profile's generated datasets, from the features of the small CLIP.

    Intervals treat videos as independent: every test video has an object of its own (docs/world.md). The scores of
    single pairs have simultaneous intervals: all intervals of a dataset (pairs times the two scores) hold together
    with 95 % (Bonferroni), because a reader looks at each of them. The other intervals are 95 % each. A score below
    50 % does not show motion either, whatever its interval.

    Returns:
        zero_shot: dataset -> top1, ci95_low, ci95_high, chance, times_chance, n.
        pairs: list of {dataset, classes, zero_shot, mean_pool}, each score with `guesses`: whether its
            simultaneous interval contains 50 %.
        all_pairs: dataset -> the same two scores over all its pairs together.
        tellable_from_stills: dataset -> classes that the mean of the frames recognises better than guessing,
            a class and its opposite counted as one.

    Raises:
        ConfigError: features of a dataset are missing.
        FileNotFoundError: a dataset was not generated (it has no world.json).
    """
    report: dict = {"zero_shot": {}, "all_pairs": {}, "tellable_from_stills": {}, "pairs": []}
    for dataset in config.profile.datasets:
        store = open_store(paths.features(config, dataset, backbone))
        world = json.loads((paths.dataset_root(config, dataset) / "world.json").read_text(encoding="utf-8"))
        train, test = (pool(store, split, max(store.meta["frames"])) for split in ("train", "test"))
        texts_CD = np.asarray(store.text("plain"))  # the small CLIP always has texts
        facts = dataset_facts(train, test, texts_CD, store.meta["class_names"], world["opposite"])
        report["pairs"] += [{"dataset": dataset, **pair} for pair in facts.pop("pairs")]
        for key, value in facts.items():
            report[key][dataset] = value
    return report


def pool(store: FeatureStore, split: str, n_frames: int) -> PooledVideos:
    """First view of every readable video of a split: frames normalised to unit length, then averaged."""
    index = store.index(split)
    keep = index["readable"].to_numpy(dtype=bool)
    frames_NTD = np.asarray(store.load(split, n_frames)[:, 0], dtype=np.float32)[keep]
    unit_NTD = frames_NTD / np.linalg.norm(frames_NTD, axis=-1, keepdims=True)
    return PooledVideos(unit_NTD.mean(1), index["label"].to_numpy(dtype=int)[keep])


def dataset_facts(
    train: PooledVideos, test: PooledVideos, text_CD: np.ndarray, names: list[str], opposite: dict[str, str]
) -> dict:
    """The facts of one dataset; arguments as in `check_learned`, `text_CD` the plain prompts in the order of
    `names`.
    """
    scores = {"zero_shot": test.x_ND @ text_CD.T, "mean_pool": _probe(train, test)}
    plain = [_plain(name) for name in names]
    swaps = {plain.index(_plain(a)): plain.index(_plain(b)) for a, b in opposite.items()}
    pairs = [(a, b) for a, b in sorted(swaps.items()) if a < b]
    right = {key: [_within(s_NC, test.y_N, pair) for pair in pairs] for key, s_NC in scores.items()}
    facts: dict = {"zero_shot": _top1(scores["zero_shot"], test.y_N)}
    level = 1 - (1 - LEVEL) / max(1, len(pairs) * len(right))
    facts["pairs"] = [
        {"classes": [names[a], names[b]], **{key: _score(right[key][i], level) for key in right}}
        for i, (a, b) in enumerate(pairs)
    ]
    facts["all_pairs"] = {key: _score(np.concatenate(right[key])) for key in right} if pairs else {}
    facts["tellable_from_stills"] = _tellable(scores["mean_pool"], test.y_N, names, swaps)
    return facts


def wilson(right: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a share, in percent (E. B. Wilson, JASA 22, 1927)."""
    z = float(ndtri(0.5 + level / 2))
    centre, spread = right + z**2 / 2, z * np.sqrt(right * (n - right) / n + z**2 / 4)
    return 100 * (centre - spread) / (n + z**2), 100 * (centre + spread) / (n + z**2)


def _probe(train: PooledVideos, test: PooledVideos) -> np.ndarray:
    """Log-probabilities (N, C) of a linear probe (multinomial logistic regression) on standardised pooled
    features.
    """
    from sklearn.linear_model import LogisticRegression

    mean_D, std_D = train.x_ND.mean(0), train.x_ND.std(0) + 1e-6
    probe = LogisticRegression(max_iter=500).fit((train.x_ND - mean_D) / std_D, train.y_N)
    return probe.predict_log_proba((test.x_ND - mean_D) / std_D)


def _within(scores_NC: np.ndarray, y_N: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    """Right or wrong for the videos of two classes, when only these two are compared."""
    own = np.isin(y_N, pair)
    return np.asarray(pair)[scores_NC[own][:, pair].argmax(1)] == y_N[own]


def _score(right_N: np.ndarray, level: float = LEVEL) -> dict:
    low, high = wilson(int(right_N.sum()), len(right_N), level)
    score = {"top1": 100 * right_N.mean(), "ci95_low": low, "ci95_high": high}
    return {
        **{k: round(float(v), 2) for k, v in score.items()},
        "n": len(right_N),
        "guesses": bool(low <= 50 <= high),
    }


def _top1(scores_NC: np.ndarray, y_N: np.ndarray) -> dict:
    score = _score(scores_NC.argmax(1) == y_N)
    del score["guesses"]
    chance = 100 / scores_NC.shape[1]
    return {**score, "chance": round(chance, 2), "times_chance": round(score["top1"] / chance, 2)}


def _tellable(scores_NC: np.ndarray, y_N: np.ndarray, names: list[str], swaps: dict[int, int]) -> list[str]:
    """Classes whose recall, up to a swap, is above the share of the videos predicted as that pair."""
    fold = np.array([min(i, swaps.get(i, i)) for i in range(len(names))])
    predicted_N, folded_N = fold[scores_NC.argmax(1)], fold[y_N]
    told = []
    for i, name in enumerate(names):
        own = y_N == i
        low, _ = wilson(int((predicted_N[own] == fold[i]).sum()), int(own.sum()))
        if low > 100 * (predicted_N[folded_N != fold[i]] == fold[i]).mean():
            told.append(name)
    return told


def _plain(name: str) -> str:
    """SSv2 templates with and without brackets are the same class."""
    return name.replace("[", "").replace("]", "")


def write_world_facts(config: Config, backbone: str) -> dict:
    """Write `check_learned` together with the facts of pre-training to reports/results/<profile>/world.json."""
    trained = json.loads((Path(paths.backbone(config, backbone)) / "pretraining.json").read_text(encoding="utf-8"))
    facts = {"pretraining": {k: v for k, v in trained.items() if k != "curve"}, **check_learned(config, backbone)}
    target = paths.results(config, "world")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts
