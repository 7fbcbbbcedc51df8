"""An experiment starts only if each of its values arrives; values that DVC would silently lose are errors."""

import subprocess
from pathlib import Path

import pytest
from dvc.utils import hydra

from tools import experiment
from vidprism.config import ConfigError, load_config, yaml_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a params.yaml that chooses smoke, as the working directory."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("profile: *mini", "profile: *smoke"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("profile.train.weight_decay=0.1", "weight_decay", 0.1),  # as in docs/scaling.md: only its default is written
        ("profile.train.weight_decay=0.00003", "weight_decay", 0.00003),
        ("profile.train.blocks=['last 3']", "blocks", ("last 3",)),
        ("profile.train.updates=7", "updates", 7),
        ("++profile.train.updates=7", "updates", 7),
    ],
)
def test_a_value_of_train_arrives(clone: Path, setting: str, key: str, value: object) -> None:
    settings = [setting, *(["profile.train.tuning=partial"] if key == "blocks" else [])]
    assert experiment.check(clone, settings) == 1
    hydra.apply_overrides(clone / "params.yaml", settings)
    assert getattr(load_config(root=clone).profile.train, key) == value


def test_learning_rates_in_the_form_that_dvc_writes_arrive(clone: Path) -> None:
    assert experiment.check(clone, ["profile.search.lr=[0.00003]"]) == 1
    hydra.apply_overrides(clone / "params.yaml", ["profile.search.lr=[0.00003]"])
    assert "3e-05" in (clone / "params.yaml").read_text(encoding="utf-8")
    assert load_config(root=clone).profile.search.lr == (0.00003,)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("+profile.train.typo=3", r"'\+profile.train.typo=3' would be lost: .*; write it into params.yaml by hand"),
        ("+profile.ablations.variants.mine.rates=[4]", "variants.mine.rates=.* would be lost"),
        ("~profile.train.warmup", "'~profile.train.warmup=null' would be lost: .*; remove it from params.yaml"),
        ("smoke.train.updates=7", "'smoke.train.updates=7' would change nothing .* through `profile.`"),
        ("variants.rates_2.rates=[4]", "would change nothing in the chosen profile"),
        ("train_defaults.warmup=0", "would change nothing in the chosen profile"),
        ("profile.train.typo=3", "Could not override 'profile.train.typo'"),
        ("+profile.train.updates=7", "Could not append to config. An item is already at 'profile.train.updates'"),
        ("profile.train.updates=none", "smoke.train.updates must be int, not 'none'"),
        ("profile.train.warmup=-1", "smoke.train.warmup must be 0 or more"),
        ("profile.ablations.variants.rates_2_4.rates=[4,2]", r"row rates_2_4: .*not \[4, 2\]; write \[2, 4\]"),
        ("other.yaml:x=1", "may change only params.yaml, not other.yaml"),
        ("profile.train.updates", "Error parsing override"),
    ],
)
def test_a_value_that_would_be_lost_or_refused_is_an_error(clone: Path, setting: str, words: str) -> None:
    before = (clone / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=words):
        experiment.check(clone, ["profile.train.updates=5", setting] if "updates" not in setting else [setting])
    assert (clone / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("setting", ["+profile.train.typo=3", "smoke.train.updates=7"])
def test_dvc_itself_says_nothing_when_it_loses_a_value(clone: Path, setting: str) -> None:
    """The reason for this tool. If this test fails, DVC has changed."""
    before = yaml_file.read_yaml(clone / "params.yaml")
    hydra.apply_overrides(clone / "params.yaml", [setting])
    assert yaml_file.read_yaml(clone / "params.yaml") == before


def test_every_combination_of_a_sweep_is_tried(clone: Path) -> None:
    assert experiment.check(clone, ["profile.train.warmup=0,0.1", "profile.train.updates=5,6"]) == 4
    with pytest.raises(ConfigError, match="warmup must be 0 or more, not -1"):
        experiment.check(clone, ["profile.train.warmup=0,-1"])


def test_arguments_are_handed_on_to_dvc(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        started.append(command[1:])
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    arguments = ["--queue", "-S", "profile.train.updates=5", "-n", "few"]
    assert experiment.main(*arguments) == 3
    assert started == [["-m", "dvc", "exp", "run", *arguments]]
    assert experiment.main("--queue", "--set-param", "+profile.train.typo=1") == 1 and len(started) == 1
    assert capsys.readouterr().out.startswith("error: '+profile.train.typo=1' would be lost")
