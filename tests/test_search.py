"""The search: equal trials for all, the dev pools decide, test videos are never opened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic_store import small_config, write_store
from vidprism import paths, search
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError
from vidprism.report import index
from vidprism.report.render import render
from vidprism.training import inputs
from vidprism.training.recipe import TrainingError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = small_config(tmp_path)
    write_store(config)
    return config


def changed(config: Config, part: str, **values: object) -> Config:
    return replace(config, profile=replace(config.profile, **{part: replace(getattr(config.profile, part), **values)}))


@pytest.mark.parametrize(
    ("method", "space"), [("mean_pool", "lr"), ("vidprism_c", "lr"), ("clip_zeroshot", "prompt_set")]
)
def test_every_method_gets_the_same_number_of_trials(config: Config, method: str, space: str) -> None:
    found = search.search(config, method, "mini_clip")
    assert found["space"] == space and len(found["trials"]) == len(config.profile.search.lr)
    assert found == json.loads(paths.search(config, method, "mini_clip").read_text())
    assert found["trials"][str(found["chosen"])] == max(found["trials"].values())
    assert set(found["dev"]) == set(found["trials"]) and found["split"] == "dev"


def test_test_videos_are_never_opened(config: Config) -> None:
    folder = paths.features(config, "ucf101", "mini_clip")
    (folder / "test_8f.npy").unlink()
    lines = (folder / "index.csv").read_text().splitlines()
    (folder / "index.csv").write_text("\n".join(line for line in lines if not line.startswith("test,")) + "\n")
    assert search.search(config, "mean_pool", "mini_clip")["chosen"] in config.profile.search.lr


def test_the_mean_over_datasets_decides(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = {
        (0.001, "ucf101"): 50.0,
        (0.001, "hmdb51"): 40.0,
        (0.01, "ucf101"): 60.0,
        (0.01, "hmdb51"): 20.0,
    }
    monkeypatch.setattr(search, "open_track", lambda *_: None)
    monkeypatch.setattr(search, "score", lambda config, method, track, value, dataset: scored[value, dataset])
    both = replace(config, profile=replace(config.profile, datasets=("ucf101", "hmdb51")))
    found = search.search(both, "mean_pool", "mini_clip")
    assert found["chosen"] == 0.001 and found["trials"] == {"0.001": 45.0, "0.01": 40.0}
    found = search.search(changed(both, "search", datasets=("ucf101",)), "mean_pool", "mini_clip")
    assert found["chosen"] == 0.01 and found["dev"]["0.01"] == {"ucf101": 60.0}


def test_equal_trials_go_to_the_first(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "score", lambda *_: 50.0)
    assert search.search(config, "mean_pool", "mini_clip")["chosen"] == config.profile.search.lr[0]


def test_a_trial_that_diverges_is_recorded_and_not_chosen(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def score(config: Config, method: str, track: object, value: float, dataset: str) -> float:
        if value == 0.01:
            raise TrainingError("the loss is nan")
        return 30.0

    monkeypatch.setattr(search, "score", score)
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] == 0.001 and found["trials"]["0.01"] is None and "nan" in found["failed"]["0.01"]


def test_all_trials_diverging_is_an_error(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    read = inputs.FrozenInputs.read
    monkeypatch.setattr(inputs.FrozenInputs, "read", lambda self, split, at: read(self, split, at) * float("inf"))
    with pytest.raises(TrainingError, match="every trial diverged"):
        search.search(config, "mean_pool", "mini_clip")
    assert not paths.search(config, "mean_pool", "mini_clip").exists()


def test_too_few_prompt_sets_are_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="2 learning rates but 1 prompt sets"):
        search.search(changed(config, "protocol", prompt_sets=("plain",)), "clip_zeroshot", "mini_clip")


def test_a_dataset_is_opened_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, open_track = [], search.open_track

    def opening(config: Config, track: str, dataset: str, n_frames: int, backbone: str) -> search.Track:
        opened.append(dataset)
        return open_track(config, track, dataset, n_frames, backbone)

    monkeypatch.setattr(search, "open_track", opening)
    found = search.search(config, "mean_pool", "mini_clip")
    assert len(found["trials"]) == 2 and opened == ["ucf101"]


def test_random_weights_have_no_score(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = paths.features(config, "ucf101", "mini_clip") / "meta.json"
    stored = json.loads(meta.read_text())
    stored["backbone"]["weights"] = RANDOM_WEIGHTS
    meta.write_text(json.dumps(stored))
    spec = replace(config.profile.backbones["mini_clip"], weights=RANDOM_WEIGHTS)
    config = replace(config, profile=replace(config.profile, backbones={"mini_clip": spec}))
    monkeypatch.setattr(search.metrics, "hits", lambda *_: pytest.fail("an accuracy was computed"))
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] == config.profile.search.lr[0] and "random weights" in found["reason"]
    assert found["trials"] == {"0.001": None, "0.01": None} and found["failed"] == {}
    assert not any(found["dev"].values())
    page = render("index", config, page=index.build(config), version="0", title="", home="", here="")
    row = page.split("<h2>The search</h2>")[1].split("<h2>")[0]
    assert "0.001: no score" in row and "random weights" in row
    assert "diverged" not in row and "at the edge of the range<" not in row


def test_scored_searches_have_no_reason(config: Config) -> None:
    assert "reason" not in search.search(config, "mean_pool", "mini_clip")
