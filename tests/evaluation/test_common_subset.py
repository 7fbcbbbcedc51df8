"""Common subsets: a second score over the videos that several copies of a dataset share."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from tests.synthetic_store import small_config, write_choice, write_store
from vidprism.config import Config, ConfigError, paths, rows
from vidprism.evaluation import common_subset, evaluate
from vidprism.report.panels import _lists
from vidprism.runs import train


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A trained row on the synthetic store, with the manifest that belongs to it."""
    config = small_config(tmp_path_factory.mktemp("root"))
    write_store(config)
    write_choice(config, "vidprism_c", 0.01)
    train.train_here(config, rows.row(config, "ablations", "default"))
    return config


def with_subset(config: Config, lines: list[str]) -> Config:
    path = paths.listed(config, "common.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    analysis = dataclasses.replace(config.profile.analysis, subset_lists={"ucf101": "common.txt"})
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, analysis=analysis))


def test_the_subset_is_scored_beside_the_whole(config: Config) -> None:
    test = paths.manifest(config, "ucf101") / "manifest.csv"
    df = pd.read_csv(test).query("split == 'test'").reset_index(drop=True)
    # by id, by path, by file name; the second video cannot be read
    lines = [df.video_id[0], df.path[1], Path(df.path[5]).name, df.video_id[9], df.video_id[9]]
    (cell,) = evaluate.evaluate(with_subset(config, lines), "ablations")[0]["cells"]
    common, at = cell["subset"], [0, 1, 5, 9]
    assert (common["n_listed"], common["n_scored"], common["file"]) == (4, 3, "common.txt")
    right = [sum(repeat["correct"][i] == "1" for i in at) for repeat in cell["repeats"]]
    assert common["top1"]["mean"] == pytest.approx(100 * sum(right) / len(right) / 3, abs=1e-3)
    (plain,) = evaluate.evaluate(config, "ablations")[0]["cells"]
    assert plain["subset"] is None and plain["top1"] == cell["top1"]
    fact = dict(_lists(cell))["Common subset"]
    assert "3 of 4 videos scored (common.txt, sha256 " in fact


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["nothing.avi"], "1 of 1 lines are not in the test list of ucf101, split 1, 'nothing.avi'"),
        (
            ["train/0_000", "nothing.avi"],
            "2 of 2 lines .*; 1 of them are in its training list, so the list is of another",
        ),
        (["TEST/0_000"], "'TEST/0_000' for one; 'test/0_000' is there, which differs in case"),
        ([""], "is empty"),
    ],
)
def test_a_list_of_something_else_is_refused(config: Config, lines: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluate.evaluate(with_subset(config, lines), "ablations")


def test_a_list_that_is_not_utf8_is_named(config: Config) -> None:
    changed = with_subset(config, ["x"])
    path = paths.listed(changed, *changed.profile.analysis.subset_lists.values())
    path.write_bytes(b"caf\xe9.avi\n")
    with pytest.raises(ConfigError, match=rf"{path.name} is not UTF-8 text \(byte 3\)"):
        evaluate.evaluate(changed, "ablations")


def test_a_missing_list_and_another_manifest_are_named(config: Config) -> None:
    chosen = with_subset(config, ["x"])
    paths.listed(config, "common.txt").unlink()
    with pytest.raises(ConfigError, match=r"analysis.subset_lists names 'common.txt'.*does not exist"):
        common_subset.read_subset(chosen, "ucf101")
    found = common_subset.Subset("common.txt", "00", pd.Series([True, False]).to_numpy())
    assert common_subset.answers_in_subset("01", found, "ucf101") == "0"
    with pytest.raises(ConfigError, match=r"lists 2 test videos and the result 3; run `dvc repro`"):
        common_subset.answers_in_subset("01-", found, "ucf101")
