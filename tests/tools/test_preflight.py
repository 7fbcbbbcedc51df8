"""The check before the pipeline: a mistake in params.yaml or a missing file is one line, not a failed stage."""

from pathlib import Path

import huggingface_hub
import pytest

from tools import miniature, preflight

ROOT = Path(__file__).resolve().parents[2]
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
    own = "model: mini_clip, size: B/16, weights: data/backbones/smoke/mini_clip"
    edit(clone, own, "model: ViT-B-16-quickgelu, size: B/16, weights: openai")


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
        (
            VARIANT,
            "wrong: {rates: [4, 2]}}",
            ["ablations, row wrong", "rates must increase", "not [4, 2]; write [2, 4]"],
        ),
        (VARIANT, "wrong: {rates: [2, 2]}}", ["ablations, row wrong", "rates must increase", "not [2, 2]; write [2]"]),
        (VARIANT, "wrong: {heads: 3}}", ["ablations, row wrong", "3 heads do not divide the width"]),
        (VARIANT, f"{VARIANT[:-1]}, {VARIANT}", ["key 'rates_2_4' is given twice", "remove or rename one"]),
        ("{layers: 1, heads: 4}", "{layers: 0, heads: 4}", ["few_shot, row temporal_transformer", "at least 1"]),
        (
            "    tuned_controls: []",
            "    tuned_controls: [regression_halves]",
            ["few_shot, row regression_halves-tuned", "cannot be trained on the tuned track"],
        ),
        ("seed: 1024", "seed: 1.7", ["seed must be int"]),
        ("methods:", "methods: ]", ["not valid YAML"]),
    ],
)
def test_a_mistake_is_one_line(
    clone: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: list[str]
) -> None:
    controls = "controls: [mean_pool], vidprism: [vidprism_c], backbone"
    edit(clone, controls, controls.replace("pool", "pool, temporal_transformer"))
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


def test_weights_that_nothing_uses_need_not_be_there(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The smoke profile has an entry for the small VideoMAE, which only its notebook reads."""
    real(clone)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    assert not (clone / "data/backbones/smoke/mini_videomae").exists()
    assert preflight.main("smoke") == 0
    capsys.readouterr()
    video = "video: {backbones: [], methods: [], run: []}"
    edit(clone, video, "video: {backbones: [mini_videomae], run: [mini_videomae], frames: 8}")
    assert preflight.main("smoke") == 1
    assert "no weights at" in output(capsys)


@pytest.mark.parametrize("cached", [False, True])
def test_weights_that_will_be_fetched_are_a_note(
    clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    real(clone)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: "file" if cached else None)
    assert preflight.main("smoke") == 0
    assert ("the weights 'openai' of mini_clip are not on this machine and will be fetched" in output(capsys)) != cached


def test_a_tag_that_does_not_exist_is_an_error(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(clone)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    edit(clone, "size: B/16, weights: openai", "size: B/16, weights: openia")
    assert preflight.main("smoke") == 1
    assert "did you mean 'openai'" in output(capsys)


def test_videos_one_folder_too_deep(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(clone)
    root = clone / "data/generated/smoke/ucf101"
    miniature.ucf101(root, groups=3, takes=1)
    (root / "videos").rename(root / "UCF-101")
    (root / "videos").mkdir()
    (root / "UCF-101").rename(root / "videos" / "UCF-101")
    assert preflight.main("smoke") == 1
    text = output(capsys)
    assert "videos/ApplyEyeMakeup/v_ApplyEyeMakeup_g03_c01.avi" in text and "videos/UCF-101/" in text


def test_a_split_that_a_dataset_does_not_have(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(clone)
    miniature.ucf101(clone / "data/generated/smoke/ucf101", groups=3, takes=1)
    edit(clone, "n_clips: 1, n_crops: 1,", "n_clips: 1, n_crops: 1, splits: {ucf101: 4},")
    assert preflight.main("smoke") == 1
    assert "UCF-101 has no split 4 (protocol.split, or its own in protocol.splits)" in output(capsys)


def test_a_run_that_is_under_way_is_one_line(
    clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(root: Path) -> None:
        raise preflight.running.Busy(f"`dvc repro` runs in {root}")

    monkeypatch.setattr(preflight.running, "check", busy)
    assert preflight.main("smoke") == 1
    assert output(capsys) == f"error: `dvc repro` runs in {clone}\n"
