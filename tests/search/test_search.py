"""The search: equal trials for all, the dev pools decide, test videos are never opened."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_store import CLASSES, small_config, write_store
from tests.training import toy
from tests.training.toy import ToyBackbone
from vidprism import backbones
from vidprism.config import RANDOM_WEIGHTS, Config, ConfigError, load_config, paths
from vidprism.config.sections import OwnRecipe
from vidprism.finetuning import checkpoint, loop
from vidprism.methods._parts import regression
from vidprism.report.overview import trust
from vidprism.report.render import render_page
from vidprism.runs.choice import read_choice
from vidprism.runtime import lock
from vidprism.runtime.errors import NotWritable, TrainingError
from vidprism.search import search, trials
from vidprism.training import inputs

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = small_config(tmp_path)
    write_store(config)
    return config


def changed(config: Config, part: str, **values: object) -> Config:
    return replace(config, profile=replace(config.profile, **{part: replace(getattr(config.profile, part), **values)}))


def scoring(monkeypatch: pytest.MonkeyPatch, top1: dict[object, object], n_videos: int = 100) -> list[object]:
    """Answer trials without training: `top1` gives the percentage of a value, by dataset where it differs, or the words
    of an error; the values that were tried, in order.
    """
    asked = []

    def answer(config: Config, method: str, setting: object, track: object, value: float, dataset: str, kept: Path):
        asked.append(value)
        found = top1[value][dataset] if isinstance(top1[value], dict) else top1[value]
        if isinstance(found, str):
            raise TrainingError(found)
        right = np.arange(n_videos) < round(found * n_videos / 100)
        return trials.Answers(np.tile(right, (3, 1)), np.arange(n_videos))

    monkeypatch.setattr(trials, "open_track", lambda *_: None)
    monkeypatch.setattr(trials, "answer", answer)
    return asked


@pytest.mark.parametrize(
    ("method", "space"),
    [("mean_pool", "lr"), ("vidprism_c", "lr"), ("regression_halves", "c"), ("clip_zeroshot", "prompt_set")],
)
def test_every_method_starts_with_the_same_number_of_trials(config: Config, method: str, space: str) -> None:
    found = search.search(config, method, "mini_clip")
    assert found["updates"] == (config.profile.search.updates if space == "lr" else 0)
    assert found["draws"] == (1 if space == "prompt_set" else config.profile.search.draws)
    assert found["space"] == space and len(found["trials"]) == len(config.profile.search.lr) + len(found["widened"])
    assert found == json.loads(paths.search(config, method, "mini_clip").read_text())
    assert found["trials"][str(found["chosen"])] == max(found["trials"].values())
    assert set(found["dev"]) == set(found["error"]) == set(found["trials"]) and found["split"] == "dev"
    doubtful = [value for value, top1 in found["trials"].items() if 0 < top1 < 100]
    assert all(found["error"][value] > 0 for value in doubtful), "over draws and dev groups"
    assert found["groups"] == {"ucf101": 2 * CLASSES}


def test_every_draw_is_trained_and_counts(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    three = changed(config, "search", draws=3, lr=(0.01,))
    asked, run_of = [], trials.open_track

    def opening(*where: object) -> trials.Track:
        run, inputs = run_of(*where)
        return lambda job, of: asked.append(job) or run(job, of), inputs

    monkeypatch.setattr(trials, "open_track", opening)
    found = search.search(three, "mean_pool", "mini_clip")
    (job,) = asked  # all draws in one
    assert job.seeds == [chosen.draw for chosen in job.training] == [0, 1, 2] and found["draws"] == 3
    alone = []
    for draw in (0, 1, 2):
        protocol = changed(changed(config, "search", draws=1, lr=(0.01,)), "protocol", draw_seeds=(draw,))
        alone.append(search.search(protocol, "mean_pool", "mini_clip")["trials"]["0.01"])
    assert found["trials"]["0.01"] == pytest.approx(np.mean(alone), abs=0.01)
    assert search.search(three, "clip_zeroshot", "mini_clip")["draws"] == 1, "nothing of it is drawn"


def test_test_videos_are_never_opened(config: Config) -> None:
    folder = paths.features(config, "ucf101", "mini_clip")
    (folder / "test_8f.npy").unlink()
    lines = (folder / "index.csv").read_text().splitlines()
    (folder / "index.csv").write_text("\n".join(line for line in lines if not line.startswith("test,")) + "\n")
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] in (*config.profile.search.lr, *found["widened"])


def test_the_mean_over_datasets_decides(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = {0.001: {"ucf101": 50, "hmdb51": 40}, 0.01: {"ucf101": 60, "hmdb51": 20}, 0.0003: 0, 0.03: 0}
    scoring(monkeypatch, scored)
    both = replace(config, profile=replace(config.profile, datasets=("ucf101", "hmdb51")))
    found = search.search(both, "mean_pool", "mini_clip")
    assert found["chosen"] == 0.001 and found["trials"] == {"0.0003": 0.0, "0.001": 45.0, "0.01": 40.0}
    found = search.search(changed(both, "search", datasets=("ucf101",)), "mean_pool", "mini_clip")
    assert found["chosen"] == 0.01 and found["dev"]["0.01"] == {"ucf101": 60.0}


def test_equal_trials_go_to_the_first(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring(monkeypatch, dict.fromkeys((0.001, 0.003, 0.01), 50) | {0.0003: 40})
    config = changed(config, "search", lr=(0.01, 0.001, 0.003))
    assert search.search(config, "mean_pool", "mini_clip")["chosen"] == 0.001, "the lowest, however the list is ordered"
    scoring(monkeypatch, dict.fromkeys((0.001, 0.003, 0.01, 0.0003), 50))
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] == 0.001 and found["widened"] == [0.0003], "a flat score widens the range no further"


@pytest.mark.parametrize(
    "method", ["mean_pool", "temporal_transformer", "vidprism_c", "vidprism_c_released", "regression_frames"]
)
@pytest.mark.parametrize(
    ("top1", "added", "chosen", "at_edge"),
    [
        ({0.001: 50, 0.003: 60, 0.01: 40}, [], 0.003, False),
        ({0.001: 70, 0.003: 60, 0.01: 40, 0.0003: 30}, [0.0003], 0.001, False),
        ({0.001: 50, 0.003: 60, 0.01: 70, 0.03: 80, 0.1: 20}, [0.03, 0.1], 0.03, False),
        ({0.001: 50, 0.003: 60, 0.01: 70, 0.03: 80, 0.1: 90}, [0.03, 0.1], 0.1, True),
        ({0.001: 70, 0.003: 60, 0.01: 40, 0.0003: 75, 0.0001: 80}, [0.0003, 0.0001], 0.0001, True),
        ({0.001: 50, 0.003: 60, 0.01: 70, 0.03: "the loss is nan"}, [0.03], 0.01, False),
    ],
)
def test_the_range_widens_at_an_edge_for_every_method_alike(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    top1: dict[float, float],
    added: list[float],
    chosen: float,
    at_edge: bool,
) -> None:
    """One value at a time, at most two on each side: learning rates, and the inverse penalties of a regression."""
    listed = [0.001, 0.003, 0.01]
    asked = scoring(monkeypatch, top1)
    found = search.search(changed(config, "search", lr=tuple(listed), c=tuple(listed)), method, "mini_clip")
    assert asked == [*listed, *added] and found["widened"] == sorted(added)
    assert [float(value) for value in found["trials"]] == sorted(asked)
    assert (found["chosen"], found["at_edge"]) == (chosen, at_edge)


def test_a_single_rate_and_prompt_sets_are_not_widened(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scoring(monkeypatch, {0.00005: 50.0}) == []
    found = search.search(changed(config, "search", lr=(0.00005,)), "mean_pool", "mini_clip")
    assert found["widened"] == [] and not found["at_edge"]
    scoring(monkeypatch, {"plain": 90.0, "photo": 50.0})
    found = search.search(config, "clip_zeroshot", "mini_clip")
    assert found["chosen"] == "plain" and found["widened"] == [] and not found["at_edge"]


@pytest.mark.parametrize(("best", "beyond"), [(0.001, 0.0003), (0.0003, 0.0001), (0.0005, 0.0003), (1e-5, 3e-6)])
def test_the_next_rate_is_of_the_series_1_3_10(best: float, beyond: float) -> None:
    assert trials.beyond(best, [best, 1.0], [best, 1.0]) == beyond
    assert trials.beyond(0.05, [0.001, 0.05], [0.001, 0.05]) == 0.1
    assert trials.beyond(10, [0.01, 1, 10], [0.01, 1, 10]) == 30 and trials.beyond(30, [1, 10, 30], [1, 10]) == 100


def test_a_rate_that_cannot_be_told_from_the_best_is_listed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring(monkeypatch, {0.0003: 20, 0.001: 60, 0.003: 62, 0.01: 40})
    found = search.search(changed(config, "search", lr=(0.0003, 0.001, 0.003, 0.01)), "mean_pool", "mini_clip")
    assert found["chosen"] == 0.003 and found["not_separable"] == [0.001]


def test_a_trial_that_diverges_is_recorded_and_not_chosen(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring(monkeypatch, {0.0003: 10, 0.001: 30, 0.01: "the loss is nan"})
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] == 0.001 and found["trials"]["0.01"] is None and "nan" in found["failed"]["0.01"]
    assert found["error"]["0.01"] is None and 0.01 not in found["not_separable"]


def test_all_trials_diverging_is_an_error(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    read = inputs.FrozenInputs.read
    monkeypatch.setattr(inputs.FrozenInputs, "read", lambda self, split, at: read(self, split, at) * float("inf"))
    with pytest.raises(TrainingError, match="every trial diverged"):
        search.search(config, "mean_pool", "mini_clip")
    assert not paths.search(config, "mean_pool", "mini_clip").exists()


def test_another_number_of_trials_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="2 learning rates but 1 prompt sets"):
        search.search(changed(config, "protocol", prompt_sets=("plain",)), "clip_zeroshot", "mini_clip")
    for c in ((1.0,), (0.1, 1.0, 10.0)):
        with pytest.raises(ConfigError, match=f"2 learning rates but {len(c)} values of c"):
            search.search(changed(config, "search", c=c), "regression_halves", "mini_clip")


def test_a_penalty_that_cannot_be_fitted_is_recorded_and_not_chosen(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = regression.Regression.fit

    def weak_penalties_fail(self: regression.Regression, x: np.ndarray, labels: np.ndarray, c: float) -> None:
        if c >= 1:
            raise ValueError(f"not converged with c {c}")
        fit(self, x, labels, c)

    monkeypatch.setattr(regression.Regression, "fit", weak_penalties_fail)
    found = search.search(config, "regression_halves", "mini_clip")
    assert found["chosen"] < 1 and found["trials"]["1.0"] is None
    assert found["failed"]["1.0"].endswith("at 1.0, ucf101, repeat 0: not converged with c 1.0")


def test_a_dataset_is_opened_once_for_the_list(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, open_track = [], trials.open_track

    def opening(config: Config, track: str, dataset: str, n_frames: int, backbone: str) -> trials.Track:
        opened.append(dataset)
        return open_track(config, track, dataset, n_frames, backbone)

    monkeypatch.setattr(trials, "open_track", opening)
    found = search.search(config, "mean_pool", "mini_clip")
    assert len(found["trials"]) >= 2 and opened == ["ucf101"] * (1 + len(found["widened"])), "once for the whole list"


def test_random_weights_have_no_score(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = paths.features(config, "ucf101", "mini_clip") / "meta.json"
    stored = json.loads(meta.read_text())
    stored["backbone"]["weights"] = RANDOM_WEIGHTS
    meta.write_text(json.dumps(stored))
    spec = replace(config.profile.backbones["mini_clip"], weights=RANDOM_WEIGHTS)
    config = replace(config, profile=replace(config.profile, backbones={"mini_clip": spec}))
    monkeypatch.setattr(trials.scores, "hits", lambda *_: pytest.fail("an accuracy was computed"))
    found = search.search(config, "mean_pool", "mini_clip")
    assert found["chosen"] == config.profile.search.lr[0] and "random weights" in found["reason"]
    assert found["trials"] == {"0.001": None, "0.01": None} and found["failed"] == {}
    assert not any(found["dev"].values()) and found["widened"] == [] and found["error"]["0.001"] is None
    context = {"page": trust.build_trust(config), "limits": (), "version": "0", "title": ""}
    page = render_page("trust", config, "overview/x/trust.html", **context)
    row = page.split("<h2>The search</h2>")[1].split("<h2>")[0]
    assert "0.001: no score" in row and "random weights" in row
    assert "diverged" not in row and "at the edge of the range<" not in row


def test_scored_searches_have_no_reason(config: Config) -> None:
    assert "reason" not in search.search(config, "mean_pool", "mini_clip")


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A search of three rates on the tuned track."""
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    config = toy.changed(toy.make_config(tmp_path), save_every=1, batch_size=4)
    monkeypatch.setattr(trials, "beyond", lambda *_: None)
    return changed(
        config, "search", lr=(0.001, 0.003, 0.01), shots=2, updates=6, draws=1, frames=8, datasets=("ucf101",)
    )


class Killed(BaseException):
    """The process ends in the middle of an update."""


def counting(monkeypatch: pytest.MonkeyPatch, last: int = 10**6) -> list[int]:
    """Updates from now on; after `last` of them the process is killed."""
    done, update = [], loop._Loop._update

    def counted(self: loop._Loop, *batch: object) -> None:
        if len(done) == last:
            raise Killed
        done.append(1)
        update(self, *batch)

    monkeypatch.setattr(loop._Loop, "_update", counted)
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
            assert len(done) == 8, "nothing of the others was used"


def test_a_full_disk_is_no_diverged_trial(tuned: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = paths.search(tuned, "mean_pool", "mini_clip")
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(NotWritable, match=r"repeat-0.pt cannot be written: .*No space left"):
        search.search(tuned, "mean_pool", "mini_clip")
    assert path.read_bytes() == before


def test_rows_of_the_tuned_track_have_a_search_of_their_own(tuned: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a profile on cached features: another file, the setting of `tuned`, few updates."""
    protocol = replace(tuned.profile.protocol, track="frozen")
    cell = replace(tuned.profile.tuned, datasets=("ucf101",), shots=(1,), frames=4, batch_size=2)
    beside = replace(tuned, profile=replace(tuned.profile, protocol=protocol, tuned=cell))
    beside = changed(beside, "search", tuned_updates=3, draws=2)
    done = counting(monkeypatch)
    found = search.search(beside, "mean_pool", "mini_clip", "tuned")
    assert len(done) == 3 * 3 * 2, "rates, updates, draws"
    assert (found["track"], found["shots"], found["frames"], found["updates"]) == ("tuned", 1, 4, 3)
    assert paths.search(beside, "mean_pool", "mini_clip", "tuned").name == "mean_pool-tuned.json"
    written = read_choice(beside, "mean_pool", "mini_clip", "tuned")
    assert written == {key: found[key] for key in written} and written["trials"] == found["trials"]
    assert read_choice(beside, "mean_pool", "mini_clip", "frozen")["trials"] == {"0.01": 50.0}, "as it was"


def test_a_method_whose_rows_have_the_recipe_of_its_authors_is_not_searched(
    tuned: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnRecipe(lr=0.02, batch_size=4, weight_decay=0.1)
    monkeypatch.setattr(trials, "run_trial", lambda *given: pytest.fail("a trial ran"))
    both = changed(tuned, "train", own={"mean_pool": {"closed_set": own, "few_shot": own}})
    both = changed(changed(both, "closed_set", controls=("mean_pool",)), "few_shot", controls=("mean_pool",))
    found = search.search(both, "mean_pool", "mini_clip")
    assert (found["chosen"], found["trials"], found["draws"]) == (0.02, {}, 0) and "authors" in found["reason"]
    one = changed(both, "train", own={"mean_pool": {"few_shot": own}})
    with pytest.raises(pytest.fail.Exception, match="a trial ran"):  # the rows of Table 1 need a rate
        search.search(one, "mean_pool", "mini_clip")


def test_a_file_of_an_earlier_version_is_refused(config: Config) -> None:
    path = paths.search(config, "mean_pool", "mini_clip")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"chosen": 0.01, "trials": {"0.01": 50.0}, "space": "lr", "split": "dev"}))
    with pytest.raises(ConfigError, match=r"mean_pool.json was written by an earlier .*'draws'.*; run dvc repro"):
        read_choice(config, "mean_pool", "mini_clip", "frozen")


def test_every_profile_searches_with_the_draws_it_has() -> None:
    """Three, but for smoke, which has two, and the rehearsal, which scores nothing."""
    draws = {name: load_config(name).profile.search.draws for name in ("smoke", "mini", "paper", "rehearsal")}
    assert draws == {"smoke": 2, "mini": 3, "paper": 3, "rehearsal": 1}


def test_one_process_runs_a_search(tuned: Config) -> None:
    with (
        lock.exclusive(paths.work(tuned, "search", "mean_pool-mini_clip"), "another"),
        pytest.raises(TrainingError, match=r"search of mean_pool on mini_clip: already running in process \d+ on "),
    ):
        search.search(tuned, "mean_pool", "mini_clip")
