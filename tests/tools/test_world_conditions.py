"""The conditions that the mini world has to meet, on answers and features with known properties."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tools.world_conditions import __main__ as conditions
from tools.world_conditions.trial_world import TrialInputs, make_trial
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import Config, load_config
from vidprism.world import DATASETS
from vidprism.world.classes import counterparts

ROOT = Path(__file__).resolve().parents[2]
SSV2 = sorted(action.name for action in DATASETS["ssv2"])
CONTROLS = ("clip_zeroshot", "mean_pool", "regression_halves", "regression_moments", "gru")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("mini", ROOT)


def found(knows: dict[str, float], names: list[str] = SSV2, per_class: int = 40, draws: int = 5) -> conditions.Found:
    """Logits of controls that are sure of the pair, and prefer the right member of it in a share of the clips."""
    labels = np.repeat(np.arange(len(names)), per_class)
    opposite = counterparts(DATASETS["ssv2"], "opposite")
    other = np.array([names.index(opposite[name]) for name in names])[labels]
    answers = conditions.Found(labels, names)
    for seed, (control, share) in enumerate(knows.items()):
        rng = np.random.default_rng(seed)
        for shots in conditions.SHOTS:
            logits = np.zeros((draws, len(labels), len(names)))
            right = rng.random((draws, len(labels))) < share
            at = np.arange(len(labels))
            for draw in range(draws):
                logits[draw, at, labels], logits[draw, at, other] = 1 + right[draw], 2 - right[draw]
            answers.logits[control, shots] = logits
    return answers


def test_accuracy_within_a_pair_ignores_other_classes() -> None:
    answers = found({"gru": 1.0})
    answers.logits["gru", 16][..., 0] += 9 * (answers.labels_N > 1)  # another class wins, but not within the pair
    pair = (SSV2[2], counterparts(DATASETS["ssv2"], "opposite")[SSV2[2]])
    assert (
        answers.right_within("gru", [pair]).mean() == 1
        and answers.right("gru", 16)[:, answers.labels_N > 1].mean() == 0
    )


def test_a_world_that_tells_order_meets_the_conditions_and_one_with_a_leak_does_not() -> None:
    fair = {"clip_zeroshot": 0.5, "mean_pool": 0.5, "regression_halves": 0.5, "regression_moments": 0.5, "gru": 0.9}
    told = {name: dict(_told(found({**fair, **leak}))) for name, leak in (("fair", {}), ("leak", {"mean_pool": 0.8}))}
    assert all(met for words, met in told["fair"].items() if words[0] != "1")
    broken = [words for words, met in told["leak"].items() if not met]
    assert broken and all("mean_pool" in words for words in broken)


def test_a_pair_that_no_control_reads_is_named() -> None:
    blind = dict.fromkeys(CONTROLS, 0.5)
    missed = [words for words, met in _told(found(blind)) if not met]
    assert any(words.startswith("3 ssv2: Brightening") for words in missed)
    assert any(words.startswith("2 ssv2: gru minus") for words in missed)


def _told(answers: conditions.Found) -> list[tuple[str, bool]]:
    """The conditions on mini-SSv2."""
    ucf = [(words, met) for words, met in conditions.conditions({"ssv2": answers, "ucf101": answers}, CONTROLS)]
    return [(words, met) for words, met in ucf if " ssv2: " in words]


def test_a_trial_world_shares_nothing_with_the_benchmark_and_holds_whole_groups(config: Config) -> None:
    small = replace(config.profile.world, train_per_class=18, test_per_dataset=6, classes=3, processes=1)
    backbone = ClipBackbone(create("mini_clip", 0), lambda texts: torch.ones(len(texts), 20, dtype=torch.long))
    trial = make_trial("hmdb51", small, backbone)
    assert {split: len(labels) for split, labels in trial.of_class.items()} == {"train": 18, "dev": 36, "test": 6}
    assert trial.features["dev"].shape == (36, 32, 64) and trial.n_classes == 3
    assert np.array_equal(trial.features["dev"], make_trial("hmdb51", small, backbone).features["dev"])
    chosen = trial.draw(2, seed=1)
    assert np.bincount(trial.labels("train")[chosen.positions]).tolist() == [2, 2, 2]


def test_a_control_learns_what_its_features_tell(config: Config) -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 16)
    features = rng.normal(size=(32, 8, 16)).astype(np.float32)
    features[labels == 1, 4:, 0] += 4  # only the second half differs
    one = dict.fromkeys(("train", "dev", "test"), features)
    inputs = TrialInputs(one, dict.fromkeys(one, labels), {"ensemble": torch.eye(2, 16)}, 16, 2, 10.0, n_steps=8)
    logits = conditions._run(config, "regression_halves", inputs, 1.0, 16, (0, 1), "test")
    assert logits.shape == (2, 32, 2) and (logits.argmax(-1) == labels).mean() > 0.95
