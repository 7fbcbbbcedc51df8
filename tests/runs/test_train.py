"""Training a row: the recipe, what is written, what stays when something fails. Features are synthetic."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.synthetic_store import BROKEN, CLASSES, TEST, small_config, write_choice, write_store
from tests.training.toy import changed
from vidprism import methods
from vidprism.config import Config, ConfigError, paths, rows
from vidprism.records import log as live
from vidprism.records import scores
from vidprism.runs.train import train_here
from vidprism.runtime.errors import TrainingError
from vidprism.runtime.threads import run_in_threads
from vidprism.training import inputs
from vidprism.training.recipe import Recipe, batch_order, is_flat, loss_curve, parameter_groups

REGRESSIONS = {"regression_halves": 0.1, "regression_moments": 1.0, "regression_frames": 10.0}  # and their penalties


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = small_config(tmp_path_factory.mktemp("root"))
    write_store(config)
    for method, chosen in (("mean_pool", 0.01), ("vidprism_c", 0.01), ("clip_zeroshot", "plain"), *REGRESSIONS.items()):
        write_choice(config, method, chosen)
    return config


def make_row(config: Config, method: str = "mean_pool", **changed: object) -> rows.Row:
    values = {
        "shots": (2, 4),
        "repeats": (0, 1),
        "frames": 8,
        "datasets": ("ucf101",),
        "track": "frozen",
        "options": {},
    }
    plan = {
        "group": "few_shot",
        "key": method,
        "method": method,
        "backbone": "mini_clip",
        "updates": 20,
        "batch_size": 8,
    }
    return rows.Row(**{**plan, **values, **changed})


def test_schedule_rises_then_falls_and_never_wastes_an_update() -> None:
    recipe = Recipe(100, 8, 1.0, 0.0, 0.1)
    factors = [recipe.lr_factor(step) for step in range(100)]
    assert factors[9] == 1.0 and all(0 < f <= 1 for f in factors)
    assert factors[:10] == sorted(factors[:10]) and factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.01
    longer_tail = Recipe(100, 8, 1.0, 0.0, 0.1, decay_power=2.0)
    assert [longer_tail.lr_factor(step) for step in range(10)] == factors[:10]
    assert np.allclose([longer_tail.lr_factor(step) for step in range(10, 100)], np.square(factors[10:]))


def test_every_clip_is_seen_equally_often() -> None:
    order = batch_order(n=10, batch_size=4, updates=10, seed=0)
    assert order.shape == (10, 4)
    assert np.bincount(order.ravel()).tolist() == [4] * 10
    assert sorted(order.ravel()[:10]) == list(range(10))  # one pass without replacement before the next
    assert (order == batch_order(10, 4, 10, 0)).all() and (order != batch_order(10, 4, 10, 1)).any()


def test_weight_decay_spares_biases_and_norms() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    stacked = [torch.zeros(2, *p.shape) for p in module.parameters()]
    decaying, others = parameter_groups(stacked, Recipe(1, 1, 0.1, 0.05, 0.1), stacked=True)
    assert [p.shape for p in decaying["params"]] == [(2, 4, 3)] and decaying["weight_decay"] == 0.05
    assert len(others["params"]) == 3 and others["weight_decay"] == 0.0


def test_flatness_of_a_loss_curve() -> None:
    settled = [float(x) for x in 0.1 + 2 * np.exp(-np.arange(20) / 2)]
    falling = [float(x) for x in np.linspace(2, 0, 20)]
    assert is_flat(settled) is True and is_flat(falling) is False and is_flat(settled[:9]) is None
    assert loss_curve(np.arange(25.0)) == ([10, 20], [4.5, 14.5])


def test_a_row_leaves_weights_scores_and_a_record(config: Config) -> None:
    record = train_here(config, make_row(config))
    folder = paths.run(config, "few_shot", "mean_pool")
    assert json.loads((folder / "record.json").read_text()) == record
    assert [(c["dataset"], c["shots"]) for c in record["cells"]] == [("ucf101", 2), ("ucf101", 4)]
    cell = record["cells"][0]
    assert cell["n_listed"] == CLASSES * TEST and cell["n_scored"] == cell["n_listed"] - 1
    assert cell["unreadable"] == [{"path": f"test/0_00{BROKEN}.avi", "reason": "empty file"}]
    assert cell["checks"] == {"readers": {"packets": 7}, "unlisted_files": 3, "repeated_lines": 1}, (
        "what is none is left out"
    )
    assert cell["split"] == 1
    assert [r["draw_sha256"] for r in cell["repeats"]] == ["0-2", "1-2"]
    assert [r["clips_seen"] for r in cell["repeats"]] == [2 * CLASSES] * 2
    assert cell["repeats"][0]["loss_last"] < cell["repeats"][0]["loss_first"]
    assert cell["curve"]["step"] == [10, 20] and cell["data_fingerprint"] == "sha256:store"
    assert record["search"]["chosen"] == record["config"]["train"]["lr"] == 0.01
    assert record["environment"]["world_size_obtained"] == 1 and record["code"]["version"]
    assert not {"seconds", "time", "finished"} & set(str(record).replace("'", " ").split())
    stored = scores.load_scores(folder / "scores.npz", "ucf101_k4")
    assert stored.logits.shape == (2, CLASSES * TEST, 2, CLASSES) and stored.logits.dtype == np.float32
    assert np.isnan(stored.logits[:, BROKEN]).all() and np.isfinite(np.delete(stored.logits, BROKEN, axis=1)).all()
    weights = load_file(folder / "weights/ucf101_k2.safetensors")
    assert weights["classifier.weight"].shape == (2, CLASSES, 16)


def test_a_record_names_the_split_of_its_dataset(config: Config) -> None:
    protocol = replace(config.profile.protocol, splits={"ucf101": 3})
    other = replace(config, profile=replace(config.profile, protocol=protocol))
    record = train_here(other, make_row(config, key="other_split", shots=(2,)))
    assert [cell["split"] for cell in record["cells"]] == [3]


def test_the_same_row_twice_gives_the_same_scores(config: Config) -> None:
    row = make_row(config, "vidprism_c", key="twice", shots=(2,))
    first = train_here(config, row)
    one = scores.load_scores(paths.run(config, "few_shot", "twice") / "scores.npz", "ucf101_k2")
    second = train_here(config, row)
    two = scores.load_scores(paths.run(config, "few_shot", "twice") / "scores.npz", "ucf101_k2")
    np.testing.assert_array_equal(one.logits, two.logits)
    assert first["cells"] == second["cells"]
    assert one.experts.shape == (2, CLASSES * TEST, 3) and one.usage_train.shape == (2, CLASSES, 3)


def test_a_repeat_is_the_same_alone_and_in_company(config: Config) -> None:
    logits = {}
    for repeats in ((0, 1, 2), (1,)):
        row = make_row(config, "vidprism_c", key=f"company{len(repeats)}", shots=(4,), repeats=repeats, updates=5)
        train_here(config, row)
        logits[repeats] = scores.load_scores(paths.run(config, "few_shot", row.key) / "scores.npz", "ucf101_k4").logits
    np.testing.assert_allclose(logits[0, 1, 2][1], logits[1,][0], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_cells_do_not_depend_on_how_many_run_at_once(config: Config) -> None:
    def cells(threads: int) -> list:
        train = replace(config.profile.train, threads=threads)
        changed = replace(config, profile=replace(config.profile, train=train))
        return train_here(changed, make_row(config, "vidprism_c", key="threads", repeats=(0,)))["cells"]

    assert cells(1) == cells(2)


def test_a_row_without_shots_trains_on_the_whole_list(config: Config) -> None:
    record = train_here(config, make_row(config, key="all", shots=(None,), repeats=(0,)))
    (repeat,) = record["cells"][0]["repeats"]
    assert repeat["draw"] is None and repeat["clips_seen"] == 8 * CLASSES


def test_an_untrained_method_sees_no_clip(config: Config) -> None:
    record = train_here(config, make_row(config, "clip_zeroshot", shots=(2,)))
    cell = record["cells"][0]
    assert cell["updates"] == 0 and cell["parameters"] == 0 and record["search"]["space"] == "prompt_set"
    assert [r["clips_seen"] for r in cell["repeats"]] == [0, 0] and cell["repeats"][0]["loss_last"] is None
    stored = scores.load_scores(paths.run(config, "few_shot", "clip_zeroshot") / "scores.npz", "ucf101_k2")
    np.testing.assert_array_equal(stored.logits[0], stored.logits[1])


@pytest.mark.parametrize("method", REGRESSIONS)
def test_a_regression_is_fitted_on_the_clips_of_each_repeat(config: Config, method: str) -> None:
    record, c = train_here(config, make_row(config, method)), REGRESSIONS[method]
    assert record["search"]["space"] == "c" and record["search"]["chosen"] == c
    assert record["config"]["train"]["inverse_penalty"] == c and record["config"]["train"]["updates"] == 0
    folder, features = paths.run(config, "few_shot", method), inputs.FrozenInputs(config, "ucf101", 8, "mini_clip")
    for cell, shots in zip(record["cells"], (2, 4), strict=True):
        assert cell["updates"] == 0 and cell["curve"] == {"step": [], "loss": []}
        assert [(r["clips_seen"], r["loss_last"]) for r in cell["repeats"]] == [(shots * CLASSES, None)] * 2
        weights = load_file(folder / f"weights/ucf101_k{shots}.safetensors")
        assert cell["parameters"] == sum(w[0].numel() for w in weights.values())
        stored = scores.load_scores(folder / "scores.npz", f"ucf101_k{shots}").logits
        for i, drawn in enumerate(inputs.training_sets(config, "ucf101", features, shots, (0, 1))):
            task = methods.Task(features.dim, CLASSES, features.n_steps)
            head, at = methods.build(method, task, {}, seed=7), drawn.positions
            head.fit(features.read("train", at)[:, 0], features.labels("train")[at], c)
            torch.testing.assert_close(weights["classifier.weight"][i], head.classifier.weight.detach())
            with torch.no_grad():
                expected = head(torch.from_numpy(features.read("test", np.array([0])))[0]).logits
            np.testing.assert_allclose(stored[i, 0], expected, atol=1e-4)
        hits = np.nanargmax(stored[:, 2:].mean(axis=2), axis=-1) == features.labels("test")[2:]
        assert hits.mean() > 0.9, "the classes differ"


def test_a_regression_that_fails_names_the_place(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    read = inputs.FrozenInputs.read
    monkeypatch.setattr(inputs.FrozenInputs, "read", lambda self, split, at: read(self, split, at) * np.float32("nan"))
    with pytest.raises(TrainingError, match=r"row failing, ucf101, 2 shots, repeat 0: features .* are not finite"):
        train_here(config, make_row(config, "regression_halves", key="failing"))


@pytest.mark.slow
def test_a_row_is_logged_and_the_log_changes_no_number(config: Config) -> None:
    row, folder = make_row(config, "vidprism_c"), paths.run(config, "few_shot", "vidprism_c")
    found = []
    for every in (1, 0, 7):
        record = train_here(changed(config, log_every=every), row)
        found.append(((folder / "weights/ucf101_k2.safetensors").read_bytes(), record["cells"]))
        log = live.read_log(paths.live(config, "few_shot", "vidprism_c"))
        if every == 1:  # the curve of the record is the mean of ten updates
            for cell, series in zip(record["cells"], log["loss/total"].values(), strict=True):
                losses = np.array([loss for _, loss in series])
                assert np.allclose(losses.reshape(2, 10).mean(axis=1), cell["curve"]["loss"], atol=2e-5)
            shares = sum(np.array(log[f"experts/expert_{i}"]["ucf101_k2"])[:, 1] for i in (1, 2, 3))
            assert np.allclose(shares, 1, atol=1e-5)
            assert all(0 <= value <= 100 for _, value in log["accuracy"]["ucf101_k4"])
            rates = [value for _, value in log["lr"]["ucf101_k2"]]
            assert max(rates) == pytest.approx(0.01) and rates[-1] < 0.001
            assert {"loss/cls", "loss/rank", "loss/div", "loss/gate", "clips_per_sec", "memory_mib"} <= set(log)
        if every == 7:
            assert [step for step, _ in log["accuracy"]["ucf101_k2"]] == [7, 14, 20]
        assert bool(log) == bool(every)
    assert found[0] == found[1] == found[2]


def test_a_failure_names_the_place_and_leaves_earlier_results(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_row(config, key="broken", shots=(2,))
    train_here(config, row)
    folder = paths.run(config, "few_shot", "broken")
    before = {file.name: file.read_bytes() for file in folder.rglob("*.*")}
    read = inputs.FrozenInputs.read
    monkeypatch.setattr(inputs.FrozenInputs, "read", lambda self, split, at: read(self, split, at) * np.float32("nan"))
    with pytest.raises(TrainingError, match=r"row broken, ucf101, 2 shots, repeat 0: the loss is nan at update 1"):
        train_here(config, row)
    assert {file.name: file.read_bytes() for file in folder.rglob("*.*")} == before
    assert [f.name for f in folder.parent.iterdir() if f.name.startswith(".")] == []


def test_what_is_missing_is_named(config: Config) -> None:
    with pytest.raises(ConfigError, match="whose search stage for 'temporal_transformer'"):
        train_here(config, make_row(config, "temporal_transformer"))
    with pytest.raises(ConfigError, match="no draw 0 of 16 shots"):
        train_here(config, make_row(config, key="deep", shots=(16,)))
    with pytest.raises(ConfigError, match="clip_b16/ucf101' holds no features"):
        train_here(config, make_row(config, key="other", backbone="clip_b16"))
    with pytest.raises(ConfigError, match="no option 'ratez'"):
        train_here(config, make_row(config, "vidprism_c", key="typo", options={"ratez": [2]}))
    found = paths.search(config, "mean_pool", "mini_clip")
    found.with_name("mean_pool-frosen.json").write_text(found.read_text())
    with pytest.raises(ConfigError, match="frozen or tuned"):
        train_here(config, make_row(config, key="track", track="frosen"))


def test_a_draw_of_another_list_is_refused(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    write_store(config)
    draws = paths.manifest(config, "ucf101") / "draws.json"
    draws.write_text(draws.read_text().replace("train/0_000", "train/gone"))
    write_choice(config, "mean_pool", 0.01)
    with pytest.raises(ConfigError, match=r"names train/gone"):
        train_here(config, make_row(config, shots=(4,), repeats=(0, 1, 2)))


def test_side_by_side_keeps_the_order_and_raises_the_first_error() -> None:
    assert run_in_threads(lambda x: x * x, range(5), threads=2, what="square") == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        run_in_threads(lambda x: 1 // (x - 1), range(4), threads=2, what="number")
