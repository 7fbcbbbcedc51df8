"""The tuned track: end to end on decoded frames, with a toy backbone and miniature videos."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.toy import DIM, SIZE, ToyBackbone, changed, make_config, make_row
from vidprism import backbones, methods
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import Config, ConfigError, paths, rows
from vidprism.config.sections import OwnRecipe
from vidprism.evaluation import evaluate
from vidprism.evaluation.up_to_date import changes_since
from vidprism.features import encode
from vidprism.finetuning import inputs as clips
from vidprism.finetuning import loader, score
from vidprism.finetuning.loop import fit
from vidprism.finetuning.model import EndToEnd
from vidprism.finetuning.score import first_of_each, predict
from vidprism.records import scores
from vidprism.runs.train import train_here
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe, batch_order
from vidprism.videos import clips as video
from vidprism.videos import manifest

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return make_config(tmp_path)


def stored(config: Config, row: rows.Row) -> scores.CellScores:
    return scores.load_scores(paths.run(config, row.group, row.key) / "scores.npz", "ucf101_k2")


def test_backbone_and_head_train(config: Config) -> None:
    row = make_row("vidprism_c")
    record = train_here(config, row)
    (cell,) = record["cells"]
    assert record["track"] == "tuned" and record["backbone"]["name"] == "mini_clip"
    assert cell["parameters"] > DIM * 12 and cell["updates"] == 10 and cell["batch_size"] == 4
    assert [r["clips_seen"] for r in cell["repeats"]] == [6, 6]
    weights = load_file(paths.run(config, "few_shot", row.key) / "weights/ucf101_k2.safetensors")
    visual = weights["visual.weight"]
    assert visual.shape == (2, DIM, 12)
    assert not torch.equal(visual[0], ToyBackbone().module.weight) and not torch.equal(visual[0], visual[1])
    found = stored(config, row)
    assert found.logits.shape == (2, 12, 2, 3) and np.isfinite(found.logits).all()
    assert found.experts.shape == (2, 12, 3) and found.usage_train.shape == (2, 3, 3)


def test_a_backbone_rate_near_zero_leaves_the_backbone(config: Config) -> None:
    still = replace(
        config, profile=replace(config.profile, train=replace(config.profile.train, backbone_lr_scale=1e-30))
    )
    row = make_row("mean_pool", repeats=(0,))
    train_here(still, row)
    visual = load_file(paths.run(still, "few_shot", row.key) / "weights/ucf101_k2.safetensors")["visual.weight"]
    assert torch.equal(visual[0], ToyBackbone().module.weight)


def test_a_frozen_backbone_is_not_stored_and_the_record_says_so(config: Config) -> None:
    train = replace(config.profile.train, tuning="frozen", ema_decay=0.5)
    frozen = replace(config, profile=replace(config.profile, train=train))
    row = make_row("mean_pool", repeats=(0,))
    record = train_here(frozen, row)
    stored_weights = load_file(paths.run(frozen, "few_shot", row.key) / "weights/ucf101_k2.safetensors")
    assert stored_weights and not any("visual" in name for name in stored_weights)
    assert record["cells"][0]["parameters"] == sum(w[0].numel() for w in stored_weights.values())
    used = record["config"]["train"]
    assert (used["tuning"], used["blocks"], used["ema_decay"], used["backbone_lr_scale"]) == ("frozen", [], 0.5, 0.5)
    assert used["precision"] == ("bf16" if torch.cuda.is_available() else "fp32")
    assert record["backbone"]["normalisation"] == "checkpoint"


def test_the_same_scores_twice_and_side_by_side(config: Config) -> None:
    row = make_row("vidprism_c")
    first, one = train_here(config, row), stored(config, row)
    both = replace(config, profile=replace(config.profile, train=replace(config.profile.train, threads=2)))
    second, two = train_here(both, row), stored(config, row)
    np.testing.assert_array_equal(one.logits, two.logits)
    assert first["cells"] == second["cells"]


def test_zero_shot_is_scored_without_training(config: Config) -> None:
    row = make_row("clip_zeroshot")
    record = train_here(config, row)
    found = stored(config, row)
    np.testing.assert_array_equal(found.logits[0], found.logits[1])
    assert record["cells"][0]["updates"] == 0 and record["cells"][0]["parameters"] == 0


def test_a_video_that_does_not_decode_is_counted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = manifest.load_manifest(config, "ucf101")
    broken = listed[listed["split"] == "test"].iloc[3]
    (paths.dataset_root(config, "ucf101") / "videos" / broken["path"]).write_bytes(b"not a video")
    config = replace(
        config,
        profile=replace(
            config.profile, few_shot=replace(config.profile.few_shot, tuned_controls=(), tuned_vidprism=())
        ),
    )
    row = make_row("mean_pool", key="mean_pool", repeats=(0,))
    (cell,) = train_here(config, row)["cells"]
    assert (cell["n_listed"], cell["n_scored"]) == (12, 11)
    assert cell["unreadable"][0]["path"] == broken["path"] and cell["unreadable"][0]["reason"]
    assert np.isnan(stored(config, row).logits[:, 3]).all()
    assert evaluate.evaluate_row(config, row)["cells"][0]["repeats"][0]["correct"][3] == "-"


def test_no_training_video_is_decoded_before_it_is_needed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    monkeypatch.setattr(clips, "load_views", lambda *_, **__: pytest.fail("decoded"))
    listed = inputs.index("train")
    assert inputs.usable("train").tolist() == listed["readable"].tolist()
    assert inputs.usable("train", np.array([2, 0])).tolist() == [True, True]


@pytest.mark.parametrize("sampling", ["protocol", "segment_random"])
def test_a_training_video_that_fails_is_an_error_that_names_it(config: Config, sampling: str) -> None:
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    for path in inputs.index("train")["path"]:
        (inputs.videos / path).write_bytes(b"")
    with pytest.raises(TrainingError, match=r"could not be read by update 0(?s:.*)\.avi: empty file \(0 bytes\)"):
        train_here(changed(config, sampling=sampling), make_row("mean_pool", repeats=(0,)))


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
        train_here(config, make_row("mean_pool"))


@pytest.mark.parametrize("views_per_batch", [1, 4, 5, 100])
def test_views_are_scored_in_parts_with_the_same_result(config: Config, views_per_batch: int) -> None:
    """12 views of a video: separately, in parts that divide them or not, and with other videos."""
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


def test_loader_workers_change_nothing(config: Config) -> None:
    row = make_row("mean_pool", repeats=(0,), updates=4)
    alone = changed(config, sampling="segment_random")
    first, one = train_here(alone, row), stored(config, row)
    second, two = train_here(changed(alone, workers=2), row), stored(config, row)
    np.testing.assert_array_equal(one.logits, two.logits)
    assert first["cells"] == second["cells"]


def test_random_clips_follow_from_seed_pass_and_video(config: Config) -> None:
    inputs = clips.VideoInputs(config, "ucf101", 4, "mini_clip")
    positions = np.array([1, 4, 5])
    for sampling in ("segment_random", "dense"):
        drawn = loader.Clips(inputs, positions, sampling, seed=7)
        for number in (0, 4, 8):
            which_pass, i = number // 3, number % 3
            path = inputs.videos / inputs.index("train").loc[positions[i], "path"]
            rng = np.random.default_rng((7, which_pass, positions[i]))
            index = video.frame_indices(video.inspect_video(path).n_frames, 4, sampling, rng=rng)
            slow = video.spatial_views(video.read_clip(path, index), SIZE)[0]
            clip, label = drawn[number]
            np.testing.assert_array_equal(clip.numpy(), slow)
            assert label == inputs.labels("train")[positions[i]]
    shuffled = loader.Clips(inputs, positions[::-1].copy(), "segment_random", seed=7)
    again = loader.Clips(inputs, positions, "segment_random", seed=7)
    assert torch.equal(shuffled[2][0], again[0][0])
    assert len({again[0 + 3 * p][0].numpy().tobytes() for p in range(8)}) > 1, "passes see other frames"
    assert not inputs._clips, "a random clip must not be kept"


def test_training_sees_other_frames_in_each_pass(config: Config) -> None:
    """What `fit` asks of the clips: their numbers run through the passes, in the order of the batches."""
    inputs, asked = clips.VideoInputs(config, "ucf101", 8, "mini_clip"), []

    class Watched(loader.Clips):
        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            asked.append(number)
            return super().__getitem__(number)

    recipe = Recipe(4, 3, 0.01, 0.0, 0.1)
    job = Job("mean_pool", {}, "plain", recipe, [], [0], "test", "here")
    model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
    fit(model, Watched(inputs, np.arange(5)), recipe, 3, 0, "here")
    order = batch_order(5, 3, 4, 0).ravel()
    assert asked == [5 * (k // 5) + int(i) for k, i in enumerate(order)]
    assert sorted(asked[:5]) == [0, 1, 2, 3, 4] and sorted(asked[5:10]) == [5, 6, 7, 8, 9]


def test_expert_usage_takes_the_first_clips_of_each_class() -> None:
    labels = np.array([0, 1, 0, 0, 1, 0, 2])
    assert first_of_each(np.array([6, 5, 3, 1, 0, 4]), labels, 2).tolist() == [0, 1, 3, 4, 6]
    assert first_of_each(np.array([0, 2, 5]), labels, 16).tolist() == [0, 2, 5]


def test_expert_usage_does_not_score_the_whole_list(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "USAGE_CLIPS", 1)
    asked = []
    read = clips.VideoInputs.read

    def reading(self: clips.VideoInputs, split: str, at: np.ndarray) -> np.ndarray:
        asked.extend((split, int(i)) for i in at)
        return read(self, split, at)

    monkeypatch.setattr(clips.VideoInputs, "read", reading)
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    job = Job("vidprism_c", methods.resolve("vidprism_c", {}, 8), "plain", Recipe(0, 1, 0, 0, 0), [], [0], "test", "")
    model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
    used = score.usage(model, inputs, np.arange(len(inputs.labels("train"))))
    assert used.shape == (3, 3) and np.isfinite(used).all() and len(asked) == 3


def test_speed_is_measured_and_stays_out_of_the_record(config: Config) -> None:
    row = make_row("mean_pool")
    record = train_here(config, row)
    facts = json.loads(paths.speed(config, "few_shot", row.key).read_text())
    assert facts["train_videos_per_sec"] > 0 and facts["eval_videos_per_sec"] > 0
    assert (facts["peak_device_mib"] is None) == (not torch.cuda.is_available())
    assert "per_sec" not in json.dumps(record)
    train_here(config, make_row("clip_zeroshot"))
    facts = json.loads(paths.speed(config, "few_shot", "clip_zeroshot-tuned").read_text())
    assert facts["train_videos_per_sec"] is None and facts["eval_videos_per_sec"] > 0


def test_class_texts_are_encoded_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = ToyBackbone.encode_text, []

    def counted(self: ToyBackbone, texts: list[str]) -> torch.Tensor:
        sizes.append(len(texts))
        return whole(self, texts)

    monkeypatch.setattr(ToyBackbone, "encode_text", counted)
    monkeypatch.setattr(encode, "SENTENCES_AT_ONCE", 25)
    first = clips.VideoInputs(config, "ucf101", 8, "mini_clip").texts
    assert sum(sizes) > 84 and max(sizes) <= 25
    sizes.clear()
    second = clips.VideoInputs(config, "ucf101", 4, "mini_clip").texts
    assert sizes == [1], "one sentence stands for the weights; the rest comes from the disk"
    np.testing.assert_array_equal(first, second)
    assert len(list(paths.texts(config).iterdir())) == 1
    monkeypatch.setattr(ToyBackbone, "encode_text", lambda self, texts: -whole(self, texts))
    np.testing.assert_array_equal(clips.VideoInputs(config, "ucf101", 8, "mini_clip").texts, -first)


def test_the_text_of_a_backbone_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    made = ClipBackbone(create("mini_clip", seed=3), open_clip.get_tokenizer("mini_clip"))
    texts = [f"moving the red ball {i} times" for i in range(12)]
    monkeypatch.setattr(encode, "SENTENCES_AT_ONCE", 10_000)
    whole = encode.text_features(made, ("plain", "ensemble"), texts)
    monkeypatch.setattr(encode, "SENTENCES_AT_ONCE", 256)
    np.testing.assert_array_equal(encode.text_features(made, ("plain", "ensemble"), texts), whole)


def test_augmented_clips_are_drawn_again_and_the_same_twice(config: Config) -> None:
    """On the tuned track the clips of each pass differ; the same seed gives the same ones."""
    inputs = clips.VideoInputs(config, "ucf101", 8, "mini_clip")
    at = np.flatnonzero(inputs.usable("train"))[:3]
    data = loader.Clips(inputs, at, seed=1, augment="released")
    again = loader.Clips(inputs, at, seed=1, augment="released")
    passes = [data[1][0], data[4][0], loader.Clips(inputs, at, seed=2, augment="released")[1][0]]
    assert torch.equal(passes[0], again[1][0]) and passes[0].shape == (8, SIZE, SIZE, 3)
    assert not torch.equal(passes[0], passes[1]) and not torch.equal(passes[0], passes[2])


def test_augmentation_changes_what_is_learned_and_the_record_says_so(config: Config) -> None:
    train = replace(config.profile.train, augment="released")
    augmented = replace(config, profile=replace(config.profile, train=train))
    row = make_row("mean_pool", repeats=(0,))
    plain = load_file(_weights(config, row, train_here(config, row)))
    record = train_here(augmented, row)
    assert record["config"]["train"]["augment"] == "released"
    changed = load_file(_weights(config, row, record))
    assert any(not torch.equal(plain[name], changed[name]) for name in plain)


def _weights(config: Config, row: rows.Row, record: dict) -> Path:
    assert record["status"] == "measured"
    return paths.run(config, "few_shot", row.key) / "weights/ucf101_k2.safetensors"


def test_a_training_starts_from_a_row_of_table_1(config: Config) -> None:
    still = replace(
        config, profile=replace(config.profile, train=replace(config.profile.train, backbone_lr_scale=1e-30))
    )
    row = replace(make_row("mean_pool"), init_from="mean_pool-mini_clip-8f")
    with pytest.raises(ConfigError, match=r"closed_set/mean_pool-mini_clip-8f, which are not at .*repro_one"):
        train_here(still, row)
    dataset = still.profile.closed_set.dataset
    path = paths.run(still, "closed_set", row.init_from) / f"weights/{dataset}_all.safetensors"
    path.parent.mkdir(parents=True)
    started = torch.stack([torch.full_like(ToyBackbone().module.weight, value) for value in (0.25, 0.5)])
    save_file({"visual.weight": started, "head.classifier.weight": torch.zeros(2, 400, DIM)}, path)
    record = train_here(still, row)
    (cell,) = record["cells"]
    weights = load_file(paths.run(still, "few_shot", row.key) / "weights/ucf101_k2.safetensors")
    assert torch.equal(weights["visual.weight"], started), "repeat i starts from repeat i"
    fresh = set(weights) - {"visual.weight"}
    assert cell["start"]["row"] == row.init_from and set(cell["start"]["fresh"]) == fresh
    assert record["config"]["init_from"] == row.init_from and "augment" not in record["config"]


def test_one_row_is_augmented(config: Config) -> None:
    row = replace(make_row("mean_pool", repeats=(0,)), key="mean_pool-released", augment="released")
    record, plain = train_here(config, row), train_here(config, make_row("mean_pool", repeats=(0,)))
    assert record["config"]["augment"] == record["config"]["train"]["augment"] == "released"
    assert plain["config"]["train"]["augment"] == "none" and "augment" not in plain["config"]
    assert record["cells"][0]["curve"] != plain["cells"][0]["curve"]


def test_a_row_with_the_recipe_of_its_authors(config: Config) -> None:
    """Rate, batch, epochs and the rest come from there, and the record holds it whole."""
    own = OwnRecipe(lr=0.02, batch_size=2, weight_decay=0.1, epochs=3, warmup_epochs=1, beta2=0.98, mix="mixup_cutmix")
    row = replace(make_row("mean_pool", repeats=(0,), batch_size=2), own=own)
    record = train_here(config, row)
    train, cell = record["config"]["train"], record["cells"][0]
    n_clips = cell["n_classes"] * 2
    assert cell["updates"] == train["updates"] == 3 * n_clips / 2 and cell["batch_size"] == 2
    assert (train["lr"], train["weight_decay"], train["beta2"], train["mix"]) == (0.02, 0.1, 0.98, "mixup_cutmix")
    assert record["config"]["own"] == dataclasses.asdict(own)
    assert not changes_since(row, config.profile.backbones["mini_clip"], record, None)
    assert changes_since(replace(row, own=None, updates=cell["updates"]), None, record, None) == ["recipe"]
    assert changes_since(replace(row, own=replace(own, lr=0.01)), None, record, None) == ["recipe"]


def test_pairs_of_clips_need_an_even_number(config: Config) -> None:
    odd = OwnRecipe(lr=0.02, batch_size=3, weight_decay=0.1, mix="mixup_cutmix")
    with pytest.raises(TrainingError, match=r"train.mix mixup_cutmix mixes pairs of clips, but 3 clips"):
        train_here(config, replace(make_row("mean_pool", repeats=(0,), batch_size=3), own=odd))
