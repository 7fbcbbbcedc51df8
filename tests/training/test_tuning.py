"""The tuned track: end to end on decoded frames, with a toy backbone and miniature videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.miniature import small_config
from tests.synthetic_store import write_choice
from vidprism import backbones, evaluation, manifest, methods, paths, rows, scores, training
from vidprism.config import Config
from vidprism.training import clips
from vidprism.training.jobs import Job
from vidprism.training.recipe import Recipe, TrainingError
from vidprism.training.tuning import EndToEnd, predict

DIM, SIZE = 8, 24


class ToyBackbone:
    """A linear map of a frame's mean colour in each quarter."""

    dim, image_size, logit_scale, tubelet, has_text = DIM, SIZE, 10.0, 1, True

    def __init__(self) -> None:
        weight = torch.randn(DIM, 12, generator=torch.Generator().manual_seed(0))
        self.module = torch.nn.Linear(12, DIM, bias=False)
        self.module.weight = torch.nn.Parameter(weight)

    def encode_clips(self, clips: torch.Tensor) -> torch.Tensor:
        return self.encode_frames(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        quarters = torch.nn.functional.avg_pool2d(frames.permute(0, 3, 1, 2).float() / 255, SIZE // 2)
        return self.module(quarters.flatten(1))

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        letters = torch.tensor([[float(text.count(c)) + 0.1 for c in "aeiouyst"] for text in texts])
        return torch.nn.functional.normalize(letters, dim=1)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load", lambda spec, device="cpu": ToyBackbone())
    config = small_config(tmp_path, "ucf101", n_clips=2)
    train = replace(config.profile.train, threads=1, backbone_lr_scale=0.5)
    config = replace(config, profile=replace(config.profile, train=train))
    manifest.prepare(config, "ucf101")
    for method, chosen in (("mean_pool", 0.01), ("vidprism_c", 0.01), ("clip_zeroshot", "plain")):
        write_choice(config, method, chosen)
    return config


def make_row(method: str, **changed: object) -> rows.Row:
    plan = {
        "group": "few_shot",
        "key": f"{method}-tuned",
        "method": method,
        "backbone": "mini_clip",
        "frames": 8,
    }
    cells = {"datasets": ("ucf101",), "shots": (2,), "repeats": (0, 1), "options": {}, "track": "tuned"}
    return rows.Row(**{**plan, **cells, "updates": 10, "batch_size": 4, **changed})


def stored(config: Config, row: rows.Row) -> scores.CellScores:
    return scores.load(paths.run(config, row.group, row.key) / "scores.npz", "ucf101_k2")


def test_backbone_and_head_train(config: Config) -> None:
    row = make_row("vidprism_c")
    record = training.train_row(config, row)
    (cell,) = record["cells"]
    assert record["track"] == "tuned" and record["backbone"]["name"] == "mini_clip"
    assert cell["parameters"] > DIM * 12 and cell["updates"] == 10 and cell["batch_size"] == 4
    assert [r["clips_seen"] for r in cell["repeats"]] == [6, 6]
    weights = load_file(paths.run(config, "few_shot", row.key) / "weights.safetensors")
    visual = weights["ucf101_k2.visual.weight"]
    assert visual.shape == (2, DIM, 12)
    assert not torch.equal(visual[0], ToyBackbone().module.weight) and not torch.equal(visual[0], visual[1])
    found = stored(config, row)
    assert found.logits.shape == (2, 12, 2, 3) and np.isfinite(found.logits).all()
    assert found.experts.shape == (2, 12, 3) and found.usage_train.shape == (2, 3, 3)


def test_a_backbone_rate_of_zero_leaves_the_backbone(config: Config) -> None:
    still = replace(config, profile=replace(config.profile, train=replace(config.profile.train, backbone_lr_scale=0.0)))
    row = make_row("mean_pool", repeats=(0,))
    training.train_row(still, row)
    visual = load_file(paths.run(still, "few_shot", row.key) / "weights.safetensors")["ucf101_k2.visual.weight"]
    assert torch.equal(visual[0], ToyBackbone().module.weight)


def test_a_frozen_backbone_is_not_stored_and_the_record_says_so(config: Config) -> None:
    train = replace(config.profile.train, tuning="frozen", ema_decay=0.5)
    frozen = replace(config, profile=replace(config.profile, train=train))
    row = make_row("mean_pool", repeats=(0,))
    record = training.train_row(frozen, row)
    stored_weights = load_file(paths.run(frozen, "few_shot", row.key) / "weights.safetensors")
    assert stored_weights and not any("visual" in name for name in stored_weights)
    assert record["cells"][0]["parameters"] == sum(w[0].numel() for w in stored_weights.values())
    used = record["config"]["train"]
    assert (used["tuning"], used["blocks"], used["ema_decay"], used["backbone_lr_scale"]) == ("frozen", [], 0.5, 0.5)
    assert used["precision"] == ("bf16" if torch.cuda.is_available() else "fp32")
    assert record["backbone"]["normalisation"] == "checkpoint"


def test_the_same_scores_twice_and_side_by_side(config: Config) -> None:
    row = make_row("vidprism_c")
    first, one = training.train_row(config, row), stored(config, row)
    both = replace(config, profile=replace(config.profile, train=replace(config.profile.train, threads=2)))
    second, two = training.train_row(both, row), stored(config, row)
    np.testing.assert_array_equal(one.logits, two.logits)
    assert first["cells"] == second["cells"]


def test_zero_shot_is_scored_without_training(config: Config) -> None:
    row = make_row("clip_zeroshot")
    record = training.train_row(config, row)
    found = stored(config, row)
    np.testing.assert_array_equal(found.logits[0], found.logits[1])
    assert record["cells"][0]["updates"] == 0 and record["cells"][0]["parameters"] == 0


def test_a_video_that_does_not_decode_is_counted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = manifest.load(config, "ucf101")
    broken = listed[listed["split"] == "test"].iloc[3]
    (paths.dataset_root(config, "ucf101") / "videos" / broken["path"]).write_bytes(b"not a video")
    config = replace(
        config,
        profile=replace(
            config.profile, few_shot=replace(config.profile.few_shot, tuned_controls=(), tuned_vidprism=())
        ),
    )
    row = make_row("mean_pool", key="mean_pool", repeats=(0,))
    (cell,) = training.train_row(config, row)["cells"]
    assert (cell["n_listed"], cell["n_scored"]) == (12, 11)
    assert cell["unreadable"][0]["path"] == broken["path"] and cell["unreadable"][0]["reason"]
    assert np.isnan(stored(config, row).logits[:, 3]).all()
    assert evaluation.evaluate_row(config, row)["cells"][0]["repeats"][0]["correct"][3] == "-"


def test_a_training_video_that_does_not_decode_is_left_out(config: Config) -> None:
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    path = inputs.videos / inputs.index("train").loc[1, "path"]
    path.write_bytes(b"")
    assert inputs.usable("train", np.array([0, 1, 2])).tolist() == [True, False, True]
    assert inputs.index("train")["readable"].tolist()[:3] == [True, False, True]
    assert inputs.read("train", np.array([0, 2])).shape == (2, 1, 8, SIZE, SIZE, 3)


def test_clips_beyond_the_cache_are_decoded_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = clips.VideoInputs(config, "ucf101", 8, "mini_clip").read("dev", np.arange(3))
    monkeypatch.setattr(clips, "CACHE_BYTES", 0)
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    np.testing.assert_array_equal(inputs.read("dev", np.arange(3)), cached)
    assert not inputs._clips


def test_a_loss_that_is_not_finite_names_the_place(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ToyBackbone,
        "encode_frames",
        lambda self, frames: self.module(torch.full((len(frames), 12), torch.nan)),
    )
    with pytest.raises(
        TrainingError, match=r"row mean_pool-tuned, ucf101, 2 shots, repeat 0: the loss is nan at update 1"
    ):
        training.train_row(config, make_row("mean_pool"))


@pytest.mark.parametrize("views_per_batch", [1, 4, 5, 100])
def test_views_are_scored_in_parts_with_the_same_result(config: Config, views_per_batch: int) -> None:
    """12 views of a video: alone, in parts that divide them or not, and with other videos."""
    protocol = replace(config.profile.protocol, n_clips=4, n_crops=3)
    config = replace(config, profile=replace(config.profile, protocol=protocol))
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    row = make_row("vidprism_c")
    job = Job(
        "vidprism_c",
        methods.resolve("vidprism_c", {}, 8),
        "plain",
        Recipe(0, 1, 0.0, 0.0, 0.0),
        [],
        [0],
        "test",
        row.key,
    )
    model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
    positions, sizes = np.array([0, 1, 4]), []
    whole = predict(model, inputs, "test", positions)
    inputs.views_per_batch = views_per_batch
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    parts = predict(model, inputs, "test", positions)
    assert whole[0].shape[:2] == (3, 12) and max(sizes) <= views_per_batch
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
