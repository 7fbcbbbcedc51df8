"""Sentences about classes: the suite's own for generated datasets, a named file for real ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_config import small_config
from vidprism import descriptions
from vidprism.config import Config, ConfigError
from vidprism.descriptions import generated
from vidprism.world.classes import DATASETS

KINDS = {"spatial": 4, "temporal": 4}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_generated_class_is_described(dataset: str) -> None:
    said = [generated.written_for(dataset, c.name) for c in DATASETS[dataset]]
    for of_class in said:
        assert of_class.keys() == KINDS.keys()
        for sentences in of_class.values():
            assert len(set(sentences)) == 4 and all(len(s.split()) <= 15 for s in sentences)
    assert len({json.dumps(of_class) for of_class in said}) == len(said), "two classes are described alike"


@pytest.mark.parametrize("dataset", DATASETS)
def test_opposite_motions_are_told_apart(dataset: str) -> None:
    temporal = {c.motions: generated.written_for(dataset, c.name)["temporal"] for c in DATASETS[dataset]}
    moving = {motions: said for motions, said in temporal.items() if len(motions) == 1}
    assert len({tuple(said) for said in moving.values()}) == len(moving)


def test_names_without_the_brackets_of_placeholders_are_known() -> None:
    assert generated.written_for("ssv2", "Growing something fast") == generated.written_for(
        "ssv2", "Growing [something] fast"
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    small = small_config(tmp_path, "hmdb51")
    protocol = replace(small.profile.protocol, descriptions={"hmdb51": "ours.json"})
    return replace(small, profile=replace(small.profile, generated=False, protocol=protocol))


def written(config: Config, content: object) -> None:
    folder = config.root_dir / "data" / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ours.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_file_is_read_by_class_name(config: Config) -> None:
    kinds = {"spatial": ["a", "b", "c"], "temporal": ["d", "e"]}
    written(config, {"run": kinds, "jump": {kind: list(reversed(said)) for kind, said in kinds.items()}})
    found, source = descriptions.describe(config, "hmdb51", ["jump", "run"], {"spatial": 2, "temporal": 1})
    assert found == {"spatial": (("c", "b"), ("a", "b")), "temporal": (("e",), ("d",))}
    assert source["file"] == "ours.json" and len(source["sha256"]) == 64


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "must map class names"),
        ({"runs": {}}, "no class 'run'.*runs"),
        ({"run": ["a"]}, "no list of sentences under 'spatial'"),
        ({"run": {"spatial": ["a", ""]}}, "no list of sentences"),
        ({"run": {"spatial": ["a"]}}, "has 1 sentences under 'spatial', and 2 are read"),
    ],
)
def test_a_wrong_file_is_named(config: Config, content: object, words: str) -> None:
    written(config, content)
    with pytest.raises(ConfigError, match=words):
        descriptions.describe(config, "hmdb51", ["run"], {"spatial": 2})


def test_a_missing_file_and_a_dataset_without_one_are_named(config: Config) -> None:
    with pytest.raises(ConfigError, match="which is missing"):
        descriptions.describe(config, "hmdb51", ["run"], {"spatial": 2})
    with pytest.raises(ConfigError, match=r"protocol\.descriptions\.ucf101"):
        descriptions.describe(config, "ucf101", ["run"], {"spatial": 2})


def test_bytes_that_are_not_json_are_named(config: Config) -> None:
    written(config, {})
    (config.root_dir / "data" / "lists" / "ours.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match="not JSON in UTF-8"):
        descriptions.describe(config, "hmdb51", ["run"], {"spatial": 2})
