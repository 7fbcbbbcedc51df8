"""The check before the pipeline: a mistake in params.yaml or a missing file is one line, not a failed stage."""

from pathlib import Path

import pytest

from tests import miniature
from tools import preflight

ROOT = Path(__file__).resolve().parents[1]
VARIANT = "rates_2_4: {rates: [2, 4]}}"  # the last one of the smoke profile


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, as the working directory."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(clone: Path, old: str, new: str) -> None:
    text = (clone / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (clone / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")


def real(clone: Path) -> None:
    """Make smoke a profile of one dataset that is not generated, with weights of a tag."""
    edit(clone, "generate: [ucf101]\n", "generate: []\n")
    edit(clone, "name: smoke\n  generated: true", "name: smoke\n  generated: false")
    edit(clone, "pretrain: [mini_clip]", "pretrain: []")
    edit(clone, "weights: data/backbones/smoke/mini_clip", "weights: openai")


def output(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    return text


def test_sound_parameters(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main("smoke") == 0
    assert output(capsys) == "smoke: 5 rows in 3 groups: parameters are sound\n"
    edit(clone, VARIANT, VARIANT.replace("}}", "}, rates_2: {rates: [2]}}"))
    assert preflight.main("smoke") == 0
    assert output(capsys).startswith("smoke: 6 rows")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (VARIANT, "wrong: {rates: [16]}}", ["ablations, row wrong", "[16] do not divide clips of 8 time steps"]),
        (VARIANT, "wrong: {agregation: max}}", ["ablations, row wrong", "did you mean 'aggregation'"]),
        (VARIANT, "wrong: {aggregation: mix}}", ["ablations, row wrong", "did you mean 'max'"]),
        ("  mean_pool: {}", "  mean_pool: {layers: 2}", ["few_shot, row mean_pool", "no option 'layers'"]),
        ("shots: 4, frames: 8, updates: 10", "shots: 4, frames: 7, updates: 10", ["search.frames asks for [7]"]),
        ("  vidprism_c: {", "  vidprism_c: {rates: [16], ", ["vidprism_c", "[16] do not divide"]),
        ("seed: 1024", "seed: 1.7", ["seed must be int"]),
        ("methods:", "methods: ]", ["not valid YAML"]),
    ],
)
def test_a_mistake_is_one_line(
    clone: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: list[str]
) -> None:
    edit(clone, old, new)
    assert preflight.main("smoke") == 1
    text = output(capsys)
    assert text.startswith("error: ") and all(word in text for word in words), text


def test_lists_of_a_real_dataset_must_be_there(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(clone)
    assert preflight.main("smoke") == 1
    assert "ucfTrainTestlist" in output(capsys)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    assert preflight.main("smoke") == 0
    assert "sound" in output(capsys)


def test_local_weights_must_be_there(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(clone)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    edit(clone, "weights: openai", "weights: weights/clip.safetensors")
    assert preflight.main("smoke") == 1
    assert f"no weights at {clone / 'weights/clip.safetensors'}" in output(capsys)
    (clone / "weights").mkdir()
    (clone / "weights" / "clip.safetensors").write_bytes(b"0")
    assert preflight.main("smoke") == 0
