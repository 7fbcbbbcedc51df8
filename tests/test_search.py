"""The search: equal trials for all, the dev pools decide, test videos are never opened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic_store import small_config, write_store
from tests.training import toy
from tests.training.toy import ToyBackbone
from vidprism import backbones, paths, search
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError
from vidprism.report import index
from vidprism.report.render import render
from vidprism.training import fitting, inputs, lock, resume
from vidprism.training.recipe import NotWritable, TrainingError


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


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A search of three rates on the tuned track."""
    monkeypatch.setattr(backbones, "load", lambda spec, device="cpu": ToyBackbone())
    config = toy.changed(toy.make_config(tmp_path), save_every=1, batch_size=4)
    config = changed(changed(config, "protocol", track="tuned"), "search", lr=(0.001, 0.003, 0.01), shots=2, updates=6)
    return changed(config, "search", frames=8, datasets=("ucf101",))


class Killed(BaseException):
    """The process ends in the middle of an update."""


def counting(monkeypatch: pytest.MonkeyPatch, last: int = 10**6) -> list[int]:
    """Updates from now on; after `last` of them the process is killed."""
    done, update = [], fitting._Loop._update

    def counted(self: fitting._Loop, *batch: object) -> None:
        if len(done) == last:
            raise Killed
        done.append(1)
        update(self, *batch)

    monkeypatch.setattr(fitting._Loop, "_update", counted)
    return done


def test_a_search_that_was_killed_goes_on(tuned: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    search.search(tuned, "mean_pool", "mini_clip")
    path, kept = paths.search(tuned, "mean_pool", "mini_clip"), paths.work(tuned, "search", "mean_pool-mini_clip")
    whole = path.read_bytes()
    path.unlink()
    assert not kept.exists()
    with monkeypatch.context() as power_cut:
        counting(power_cut, last=6 + 4)
        with pytest.raises(Killed):
            search.search(tuned, "mean_pool", "mini_clip")
    assert not path.exists() and sorted(f.name.split("-")[0] for f in kept.iterdir()) == ["0.001", "0.003"]
    done = counting(monkeypatch)
    search.search(tuned, "mean_pool", "mini_clip")
    assert path.read_bytes() == whole and len(done) == 3 * 6 - (6 + 4), "four updates of the second trial are kept"
    assert not kept.exists()


def test_what_another_search_kept_is_not_taken(tuned: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for config in (tuned, changed(tuned, "search", updates=5), toy.changed(tuned, weight_decay=0.3)):
        with monkeypatch.context() as power_cut:
            done = counting(power_cut, last=8)
            with pytest.raises(Killed):
                search.search(config, "mean_pool", "mini_clip")
            assert len(done) == 8, "nothing of the others was taken up"


def test_a_full_disk_is_no_diverged_trial(tuned: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = paths.search(tuned, "mean_pool", "mini_clip")
    before = path.read_bytes()
    monkeypatch.setattr(resume.torch, "save", full)
    with pytest.raises(NotWritable, match=r"repeat-0.pt cannot be written: .*No space left"):
        search.search(tuned, "mean_pool", "mini_clip")
    assert path.read_bytes() == before


def test_one_process_runs_a_search(tuned: Config) -> None:
    with (
        lock.alone(paths.work(tuned, "search", "mean_pool-mini_clip"), "another"),
        pytest.raises(TrainingError, match=r"search of mean_pool on mini_clip: process \d+ on .* is at it already"),
    ):
        search.search(tuned, "mean_pool", "mini_clip")
