"""Evaluation: from scores per view to accuracies and their intervals, against values worked out by hand."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from tests.synthetic_store import small_config, write_choice, write_store
from vidprism.config import Config, ConfigError, paths, rows
from vidprism.evaluation import evaluate, metrics, results, stats
from vidprism.records import scores
from vidprism.records.record import ResultsError
from vidprism.report import tables
from vidprism.runs import train


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = small_config(tmp_path_factory.mktemp("root"))
    write_store(config)
    for row in rows.rows(config, "ablations").values():
        write_choice(config, row.method, 0.01)
        if row.key == "default":
            train.train_here(config, row)
    return config


def test_logits_and_probabilities_are_fused_differently() -> None:
    views = np.array(
        [[[4.0, 0.0, 0.0], [0.0, 1.5, 0.0], [0.0, 1.5, 0.0]]]
    )  # one video, one sure view against two unsure ones
    assert metrics.fuse(views, "logits").argmax() == 0 and metrics.fuse(views, "softmax").argmax() == 1
    np.testing.assert_allclose(metrics.fuse(views, "softmax").sum(axis=1), 1)
    with pytest.raises(ValueError, match="fusion"):
        metrics.fuse(views, "max")


@pytest.mark.parametrize("n_classes", [2, 3, 5, 8])
@pytest.mark.parametrize("k", [1, 5])
def test_accuracy_is_the_mean_of_the_answers(n_classes: int, k: int) -> None:
    rng = np.random.default_rng(0)
    scored, labels = rng.normal(size=(40, n_classes)), rng.integers(0, n_classes, 40)
    assert metrics.top_k(scored, labels, k) == pytest.approx(100 * scores.hits(scored, labels, k).mean())
    if k < n_classes and n_classes > 2:
        assert metrics.top_k(scored, labels, k) == pytest.approx(
            100 * top_k_accuracy_score(labels, scored, k=k, labels=range(n_classes))
        )


def test_ties_are_broken_as_scikit_learn_breaks_them() -> None:
    scored, labels = np.zeros((6, 6)), np.arange(6)
    assert 100 * scores.hits(scored, labels, 1).mean() == metrics.top_k(scored, labels, 1)
    assert scores.hits(scored, labels, 5).tolist() == [False, True, True, True, True, True]


def test_answers_keep_the_place_of_unreadable_videos() -> None:
    assert metrics.answer_text(np.array([True, False, True]), np.array([True, False, True, True])) == "1-01"


def test_experts_are_averaged_by_class_and_answer() -> None:
    weights = np.array([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]])
    found = metrics.expert_usage(weights, np.array([[True, False, True]]), np.array([0, 0, 1]), 3)
    assert found == {"correct": [[1.0, 0.0], [0.5, 0.5], None], "wrong": [[0.0, 1.0], None, None]}


def test_a_group_is_evaluated_and_written(config: Config) -> None:
    out = evaluate.evaluate(config, "ablations")
    assert out == results.read_records(config, "ablations")
    expected = rows.rows(config, "ablations")
    assert [record["row"] for record in out] == list(expected)
    record = out[0]
    (cell,) = record["cells"]
    folder = paths.run(config, "ablations", "default")
    stored = scores.load_scores(folder / "scores.npz", "ucf101_k2")
    readable = ~np.isnan(stored.logits[0, :, 0, 0])
    for repeat, logits in zip(cell["repeats"], stored.logits, strict=True):
        best = logits.mean(axis=1).argmax(axis=1)
        by_hand = "".join(
            "-" if not ok else str(int(b == y)) for ok, b, y in zip(readable, best, stored.labels, strict=True)
        )
        assert repeat["correct"] == by_hand and len(repeat["correct5"]) == cell["n_listed"]
        assert repeat["top1"] == pytest.approx(100 * by_hand.count("1") / readable.sum(), abs=1e-3)
    mean = np.mean([r["top1"] for r in cell["repeats"]])
    assert cell["top1"]["mean"] == pytest.approx(mean, abs=1e-3)
    low, high = cell["top1"]["ci95_repeats"]
    assert (low + high) / 2 == pytest.approx(mean, abs=1e-3)
    assert cell["groups"].split()[:6] == ["0", "1", "0", "1", "2", "3"] and cell["top1"]["n_groups"] == 12
    assert (cell["top1"]["ci95"], cell["top1"]["ci95_groups"]) == _rounded_intervals(cell)
    headline = json.loads(paths.results(config, "ablations").read_text())
    assert headline["top1_vidprism"] == pytest.approx(mean, abs=0.01)


def _rounded_intervals(cell: dict) -> tuple[list[float], list[float]]:
    matrix = stats.answer_matrix([repeat["correct"] for repeat in cell["repeats"]])
    of_video = np.array([2 * (i // 4) + i % 2 for i in range(24)])  # two groups a class, in turn
    whole, groups = stats.accuracy(matrix, of_video).interval, stats.single_factor(matrix, of_video)[1]
    return np.round(whole, 4).tolist(), np.round(groups, 4).tolist()


def test_groups_of_another_test_list_are_refused(config: Config) -> None:
    path = paths.manifest(config, "ucf101") / "manifest.csv"
    before = path.read_text()
    try:
        path.write_text("\n".join(before.splitlines()[:-1]))
        with pytest.raises(ConfigError, match=r"ucf101 lists 23 test videos and the result 24; run `dvc repro`"):
            evaluate.evaluate(config, "ablations")
        path.unlink()
        with pytest.raises(ConfigError, match=r"manifest.csv' does not exist.*run the prepare stage of ucf101"):
            evaluate.evaluate(config, "ablations")
    finally:
        path.write_text(before)


def test_the_use_of_the_experts_is_recorded(config: Config) -> None:
    (cell,) = evaluate.evaluate(config, "ablations")[0]["cells"]
    assert sum(cell["expert_usage"]) == pytest.approx(1, abs=1e-3)
    by_class = cell["expert_usage_by_class"]
    assert len(by_class["train"]) == cell["n_classes"] and sum(by_class["train"][0]) == pytest.approx(1, abs=1e-3)
    for c in range(cell["n_classes"]):
        assert by_class["correct"][c] or by_class["wrong"][c]


def test_random_weights_give_no_accuracy(config: Config) -> None:
    path = paths.run(config, "ablations", "default") / "record.json"
    before = path.read_text()
    record = json.loads(before)
    path.write_text(json.dumps({**record, "backbone": {**record["backbone"], "weights": "random"}}))
    try:
        out = evaluate.evaluate(config, "ablations")
    finally:
        path.write_text(before)
    assert "default" not in out and "top1" not in json.dumps(out)
    rehearsed = out[0]
    assert (rehearsed["status"], rehearsed["cells"]) == ("rehearsed", [])
    assert "ucf101 20 updates, 23 of 24 videos, 2 views each" in rehearsed["reason"]
    line = next(line for line in tables.build_table(config, 3).lines if line.run == "default")
    assert line.status == "rehearsed" and "no accuracy meaning" in line.entries[0].reason


def test_a_row_without_a_run_says_so(config: Config) -> None:
    other = evaluate.evaluate(config, "ablations")[1]
    assert other["status"] == "not run" and "dvc repro" in other["reason"] and other["cells"] == []


def test_a_run_with_other_cells_does_not_count(config: Config) -> None:
    path = paths.run(config, "ablations", "default") / "record.json"
    before = path.read_text()
    path.write_text(before.replace('"shots": 2', '"shots": 4'))
    try:
        record = evaluate.evaluate(config, "ablations")[0]
    finally:
        path.write_text(before)
    assert record["status"] == "not run" and "other cells" in record["reason"]


@pytest.fixture
def stored(config: Config) -> Iterator[Path]:
    """The scores of the trained row, put back after the test."""
    path = paths.run(config, "ablations", "default") / "scores.npz"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)


@pytest.mark.parametrize(
    ("where", "value"),
    [((1,), np.nan), ((0, 5), np.nan), ((0, 5, 1, 2), np.inf)],
    ids=["a whole repeat", "one video", "one infinite logit"],
)
def test_a_diverged_training_is_not_an_unreadable_video(
    config: Config, stored: Path, where: tuple[int, ...], value: float
) -> None:
    with np.load(stored) as found:
        arrays = dict(found)
    arrays["ucf101_k2"][where] = value
    np.savez(stored, **arrays)
    with pytest.raises(ResultsError, match=r"ablations/default.*ucf101.*diverged.*learning rate.*dvc repro"):
        evaluate.evaluate(config, "ablations")


def _drop_labels(path: Path) -> None:
    with np.load(path) as found:
        arrays = {name: value for name, value in found.items() if not name.endswith("_labels")}
    np.savez(path, **arrays)


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no archive"),
        lambda path: path.unlink(),
        _flip_a_byte,
        _drop_labels,
    ],
    ids=["truncated", "empty", "another file", "missing", "flipped", "no labels"],
)
def test_damaged_scores_are_named(config: Config, stored: Path, damage: Callable[[Path], object]) -> None:
    damage(stored)
    with pytest.raises(ResultsError, match=r"default/scores\.npz: .*ucf101_k2.*dvc repro"):
        evaluate.evaluate(config, "ablations")


def test_the_same_scores_give_the_same_file(config: Config) -> None:
    evaluate.evaluate(config, "ablations")
    before = Path(paths.results(config, "ablations")).read_bytes()
    evaluate.evaluate(config, "ablations")
    assert Path(paths.results(config, "ablations")).read_bytes() == before


def test_fewer_views_are_spread_evenly() -> None:
    assert metrics.fewer_views(1, 1) == [(1, 1, [0])]
    assert metrics.fewer_views(4, 3) == [
        (1, 1, [4]),  # the middle clip, the centre crop
        (2, 1, [1, 10]),
        (3, 1, [1, 7, 10]),
        (4, 1, [1, 4, 7, 10]),
        (1, 3, [3, 4, 5]),
        (2, 3, [0, 1, 2, 9, 10, 11]),
        (3, 3, [0, 1, 2, 6, 7, 8, 9, 10, 11]),
        (4, 3, list(range(12))),
    ]


def test_accuracy_against_views_comes_from_the_same_scores(config: Config, stored: Path) -> None:
    """Where the first clip is right and the second one is surer and wrong, more views are worse."""
    with np.load(stored) as found:
        arrays = dict(found)
    labels = arrays["ucf101_k2_labels"]
    logits = np.zeros_like(arrays["ucf101_k2"])
    logits[np.isnan(arrays["ucf101_k2"])] = np.nan
    videos = np.arange(len(labels))
    logits[:, videos, 0, labels] += 1
    logits[:, videos, 1, (labels + 1) % logits.shape[-1]] += 2
    np.savez(stored, **{**arrays, "ucf101_k2": logits})
    (cell,) = evaluate.evaluate(config, "ablations")[0]["cells"]
    assert [(p["n_clips"], p["n_crops"], p["top1"]) for p in cell["views"]] == [(1, 1, 100.0), (2, 1, 0.0)]
    assert cell["views"][-1]["top1"] == cell["top1"]["mean"]


def test_fusion_is_chosen_when_scores_are_evaluated(config: Config, stored: Path) -> None:
    """A small lead among two likely classes against a larger one among unlikely ones: the mean of logits follows the
    second view, that of probabilities the first.
    """
    with np.load(stored) as found:
        arrays = dict(found)
    labels = arrays["ucf101_k2_labels"]
    logits = np.zeros_like(arrays["ucf101_k2"])
    logits[np.isnan(arrays["ucf101_k2"])] = np.nan
    videos, other = np.arange(len(labels)), (labels + 1) % logits.shape[-1]
    logits[:, videos, 0, labels] += 20
    logits[:, videos, 0, other] += 19.9
    logits[:, videos, 1, labels] -= 5
    logits[:, videos, 1, other] -= 4.85
    np.savez(stored, **{**arrays, "ucf101_k2": logits})
    found = {}
    for fusion in ("logits", "softmax"):
        profile = dataclasses.replace(
            config.profile, analysis=dataclasses.replace(config.profile.analysis, fusion=fusion)
        )
        (cell,) = evaluate.evaluate(dataclasses.replace(config, profile=profile), "ablations")[0]["cells"]
        assert cell["fusion"] == fusion
        found[fusion] = cell["top1"]["mean"]
    assert found == {"logits": 0.0, "softmax": 100.0}
