"""The probes of the small VideoMAE: better only beyond the interval over groups."""

import numpy as np

from vidprism.evaluation.video_check import compare_probes
from vidprism.pretraining import videomae


def test_the_probe_tells_better_from_not_shown() -> None:
    rng = np.random.default_rng(0)
    good, bad = (rng.random(200) < 0.8).astype(np.int8), (rng.random(200) < 0.3).astype(np.int8)
    groups = {"a": np.arange(200), "b": np.arange(200) // 4}
    helped, equal = compare_probes(videomae.probe_answers({"a": good, "b": bad}, {"a": bad, "b": bad}, groups))
    assert helped["better"] and helped["ci95_low"] > 0 and helped["trained"] == 100 * good.mean() and helped["n"] == 200
    assert not equal["better"] and equal["difference"] == 0
    assert (helped["n_groups"], equal["n_groups"]) == (200, 50)


def test_the_dagger_follows_the_groups() -> None:
    """Ten groups of twenty videos, two of them better by pre-training: over videos it helps, over groups not shown."""
    groups, before = np.arange(200) // 20, np.zeros(200, np.int8)
    after = (groups < 2).astype(np.int8)
    (over_groups,) = compare_probes(videomae.probe_answers({"a": after}, {"a": before}, {"a": groups}))
    (over_videos,) = compare_probes(videomae.probe_answers({"a": after}, {"a": before}, {"a": np.arange(200)}))
    assert over_videos["better"] and not over_groups["better"]
