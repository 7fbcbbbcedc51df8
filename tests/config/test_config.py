"""params.yaml is read strictly: errors name the wrong key and the nearest correct one."""

import dataclasses
import typing
from pathlib import Path

import pytest

from vidprism import backbones
from vidprism.config import (
    AnalysisConfig,
    BackboneConfig,
    ConfigError,
    ProtocolConfig,
    TrainConfig,
    find_root,
    load_config,
    yaml_file,
)
from vidprism.config.errors import build_section
from vidprism.config.rows import row, rows
from vidprism.evaluation import metrics
from vidprism.videos import clips

ROOT = Path(__file__).resolve().parents[2]


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_every_profile_is_complete(profile: str) -> None:
    config = load_config(profile, ROOT)
    assert config.profile.name == profile
    assert all(rows(config, group) for group in ("closed_set", "few_shot", "ablations"))


def test_the_profile_line_chooses(tmp_path: Path) -> None:
    assert load_config(root=ROOT).profile.name == "mini"
    assert load_config(root=edited(tmp_path, "profile: *mini", "profile: *smoke")).profile.name == "smoke"


VIDEO = "video_pretraining: {steps: 30,"
TRAIN = "  train: {updates: 20, batch_size: 16, <<: *train_defaults}"
FEW_SHOT = "backbone: mini_clip, frames: 8, shots: [2]"
PROTOCOL = "protocol: {split: 1, dev_per_class: 3, shots: [2, 4], draw_seeds: [0, 1], frames: [8, 32], n_clips: 1"
SEARCH = "lr: [0.001, 0.003], datasets: [], shots: 4"
VARIANTS = "variants: {default: {}, rates_2_4: {rates: [2, 4]}}"


def protocol(old: str, new: str) -> tuple[str, str]:
    return PROTOCOL, PROTOCOL.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("splits: {}", "splits: {ucf11: 2}", ["smoke.protocol.splits", "unknown dataset 'ucf11'"]),
        (TRAIN, TRAIN.replace("updates", "update"), ["smoke.train.update", "did you mean 'updates'"]),
        (TRAIN, TRAIN.replace("batch_size: 16, ", ""), ["smoke.train lacks batch_size"]),
        (TRAIN, TRAIN.replace("20", "many"), ["smoke.train.updates must be int"]),
        ("  datasets: [ucf101]", "  datasets: [ucf102]", ["unknown dataset 'ucf102'", "did you mean 'ucf101'"]),
        ("  datasets: [ucf101]", "  datasets: ucf101", ["smoke.datasets must be a list"]),
        ("methods:\n", "methods:\n  vidprism_d: {}\n", ["unknown method 'vidprism_d'", "vidprism_c"]),
        (
            "published: [mini, full, paper]",
            "published: [minni, full, paper]",
            ["unknown profile 'minni'", "did you mean 'mini'"],
        ),
        ("published: [mini, full, paper]", "published: mini", ["published must be a list of profiles, not 'mini'"]),
        ("seed: 1024", "seeed: 1024", ["unknown key 'seeed'", "did you mean 'seed'"]),
        (FEW_SHOT, FEW_SHOT.replace("clip", "clop"), ["unknown backbone 'mini_clop'", "mini_clip"]),
        ("seed: 1024", "", ["params.yaml lacks seed"]),
        ("profile: *mini", "", ["params.yaml lacks profile"]),
        ("profile: *mini", "profile: mini", ["must choose a profile by its anchor"]),
        ("seed: 1024", "seed: 1.7", ["seed must be int, not 1.7"]),
        ("seed: 1024", "seed: many", ["seed must be int, not 'many'"]),
        ("  mean_pool: {}", "  mean_pool: 3", ["methods.mean_pool must be a mapping", "not 3"]),
        ("  mean_pool: {}", "  mean_pool: []", ["methods.mean_pool must be a mapping"]),
        (VARIANTS, "variants: {agg_x: 3}", ["smoke.ablations.variants.agg_x must be a mapping", "not 3"]),
        (VARIANTS, "variants: {agg-x: {}}", ["the name 'agg-x' in smoke.ablations.variants", "[a-z0-9_]"]),
        ("  mean_pool: {}", "  Mean.pool: {}", ["the name 'Mean.pool' in methods", "[a-z0-9_]"]),
        (*protocol("{split", "{track: frosen, split"), ["protocol.track", "'frosen'", "did you mean 'frozen'"]),
        (*protocol("{split", "{sampling: segment_random, split"), ["protocol.sampling", "segment_center"]),
        (*protocol("{split", "{frame_cache: jpg, split"), ["smoke.protocol.frame_cache", "did you mean 'jpeg'"]),
        ("analysis: {fusion: logits", "analysis: {fusion: mean", ["smoke.analysis.fusion", "known: logits, softmax"]),
        (*protocol("{split", "{resize: nearest, split"), ["protocol.resize", "known: bicubic, bilinear"]),
        (f"{PROTOCOL}, n_crops: 1", f"{PROTOCOL}, n_crops: 2", ["protocol.n_crops must not be 2", "known: 1, 3"]),
        (*protocol("n_clips: 1", "n_clips: 0"), ["smoke.protocol.n_clips must be above 0, not 0"]),
        ("shot_lists: {}", "shot_lists: {ucf101: {'3': x}}", ["has a list for 3 shots", "known: 2, 4"]),
        ("shot_lists: {}", "shot_lists: {ucf101: {'2': ../x}}", ["shot_lists.ucf101.2", "data/lists"]),
        ("shot_lists: {}", "shot_lists: {ucf11: {'2': x}}", ["unknown dataset 'ucf11'"]),
        ("subset_lists: {}", "subset_lists: {ssv2: a/b}", ["smoke.analysis.subset_lists.ssv2", "data/lists"]),
        (*protocol("shots: [2, 4]", "shots: [2]"), ["smoke.search.shots asks for [4]", "protocol.shots", "[2]"]),
        (*protocol("frames: [8, 32]", "frames: [32]"), ["smoke.search.frames asks for [8]", "add them there"]),
        (TRAIN, TRAIN.replace("}", ", decay_power: 0}"), ["smoke.train.decay_power must be above 0"]),
        (TRAIN, TRAIN.replace("}", ", tuning: half}"), ["smoke.train.tuning must not be 'half'", "partial"]),
        (TRAIN, TRAIN.replace("}", ", tuning: partial}"), ["smoke.train.blocks", "tuning is partial"]),
        (TRAIN, TRAIN.replace("}", ", blocks: [stem]}"), ["smoke.train.blocks", "tuning is full"]),
        (TRAIN, TRAIN.replace("}", ", layer_decay: 0}"), ["smoke.train.layer_decay must be above 0"]),
        (TRAIN, TRAIN.replace("}", ", layer_decay: 1.1}"), ["smoke.train.layer_decay must be at most 1"]),
        (TRAIN, TRAIN.replace("}", ", ema_decay: 1}"), ["smoke.train.ema_decay must be below 1"]),
        (TRAIN, TRAIN.replace("}", ", bad_share: 1}"), ["smoke.train.bad_share must be below 1"]),
        (VIDEO, VIDEO + " muon_momentum: 1,", ["smoke.video_pretraining.muon_momentum must be below 1"]),
        (VIDEO, VIDEO + " mask_ratio: 1.5,", ["smoke.video_pretraining.mask_ratio must be below 1"]),
        (VIDEO, VIDEO + " muon_lr: 0,", ["smoke.video_pretraining.muon_lr must be above 0"]),
        (TRAIN, TRAIN.replace("}", ", devices: all}"), ["smoke.train.devices must be `auto` or a number", "'all'"]),
        (TRAIN, TRAIN.replace("}", ", devices: 0}"), ["smoke.train.devices must be `auto` or a number", "not 0"]),
        (TRAIN, TRAIN.replace("}", ", nodes: 0}"), ["smoke.train.nodes must be above 0"]),
        (TRAIN, TRAIN.replace("}", ", non_finite: ignore}"), ["smoke.train.non_finite must not be 'ignore'", "skip"]),
        (TRAIN, TRAIN.replace("}", ", accumulate: 0}"), ["smoke.train.accumulate must be above 0"]),
        (TRAIN, TRAIN.replace("}", ", deterministic: 1}"), ["train.deterministic", "1"]),
        (TRAIN, TRAIN.replace("}", ", strategy: zero}"), ["smoke.train.strategy must not be 'zero'", "ddp", "fsdp"]),
        (TRAIN, TRAIN.replace("}", ", strategy: fsdp, precision: fp16}"), ["precision fp16", "strategy fsdp", "bf16"]),
        (TRAIN, TRAIN.replace("}", ", precision: fp8}"), ["smoke.train.precision must not be 'fp8'", "fp16"]),
        ("size: B/16,", "size: B/16, normalisation: clop,", ["mini_clip.normalisation must not be 'clop'", "'clip'"]),
        ("&released_train {updates", "&released_train {update", ["recipes.released.train.update", "'updates'"]),
        ("closed_set: {lr: 0.0003", "closed_set: {rate: 0.0003", ["train.own.aim.closed_set", "lr"]),
        ("lr: &released_lr", "rate: &released_lr", ["recipes.released must have the keys train and lr"]),
        (*protocol("shots: [2, 4]", "shots: []"), ["smoke.protocol.shots must not be empty"]),
        (*protocol("shots: [2, 4]", "shots: [2, -4]"), ["smoke.protocol.shots must be above 0, not -4"]),
        (*protocol("[0, 1]", "[0, -1]"), ["smoke.protocol.draw_seeds must be 0 or more, not -1"]),
        (TRAIN, TRAIN.replace("20", "0"), ["smoke.train.updates must be above 0"]),
        (TRAIN, TRAIN.replace("16", "0"), ["smoke.train.batch_size must be above 0"]),
        (TRAIN, TRAIN.replace("16", "16, weight_decay: -1"), ["smoke.train.weight_decay must be 0 or more"]),
        ("updates: 10, draws: 2", "updates: 10, draws: 3", ["smoke.search.draws asks for 3 draws", "[0, 1] only"]),
        ("updates: 10, draws: 2", "updates: 10, draws: 0", ["smoke.search.draws must be above 0"]),
        (SEARCH, SEARCH.replace("[]", "[ucf]"), ["smoke.search.datasets", "'ucf'", "ucf101"]),
        (SEARCH, SEARCH.replace("0.003", ".nan"), ["smoke.search.lr must be above 0, not nan"]),
        (
            SEARCH,
            SEARCH.replace("0.003", "3e-3x"),
            ["smoke.search.lr must be a number written like 0.001, not '3e-3x'"],
        ),
        (SEARCH, SEARCH.replace("0.003", "'3e-3'"), ["smoke.search.lr must be a number written like 0.001"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", edited(tmp_path, old, new))
    assert all(word in str(caught.value) for word in words), str(caught.value)


# DVC writes the 0.00003 of `dvc exp run -S` as 3e-05, which YAML 1.1 reads as text.
@pytest.mark.parametrize("text", ["3e-05", "3E-5", "3.0e-5", "+3e-05", "0.3e-4", "300e-7"])
def test_numbers_in_the_form_that_dvc_writes_are_read(tmp_path: Path, text: str) -> None:
    searched = edited(tmp_path, SEARCH, SEARCH.replace("0.003", text))
    assert load_config("smoke", searched).profile.search.lr == (0.001, pytest.approx(0.00003, rel=1e-12))
    decayed = edited(tmp_path, TRAIN, TRAIN.replace("16,", f"16, weight_decay: {text},"))
    assert load_config("smoke", decayed).profile.train.weight_decay == pytest.approx(0.00003, rel=1e-12)
    switched = edited(tmp_path, "to_lambda_text: {lambda_text: 0.01}", f"to_lambda_text: {{lambda_text: {text}}}")
    options = load_config("mini", switched).profile.ablations.variants["to_lambda_text"]
    assert options == {"lambda_text": pytest.approx(0.00003, rel=1e-12)}


def test_a_count_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"smoke\.train\.updates must be int, not 20\.0"):
        load_config("smoke", edited(tmp_path, TRAIN, TRAIN.replace("20", "2e+1")))


def test_a_recipe_of_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"methods used by paper names the unknown method 'aims'; .*'aim'"):
        load_config("paper", edited(tmp_path, "  aim:\n    closed_set", "  aims:\n    closed_set"))


def test_a_row_has_the_recipe_of_its_group() -> None:
    config = load_config("paper")
    table1, table2 = rows(config, "closed_set"), rows(config, "few_shot")
    assert (table1["vifi_clip-clip_b16-8f"].own.lr, table1["vifi_clip-clip_b16-8f"].batch_size) == (0.000022, 512)
    assert (table2["vifi_clip"].own.lr, table2["vifi_clip"].batch_size) == (0.000002, 64)
    assert table2["st_adapter"].own is None and table2["st_adapter"].batch_size == config.profile.train.batch_size
    assert table1["vidprism_c-clip_b16-8f"].own is None


def test_rows_without_weights_are_listed_and_off() -> None:
    table2 = rows(load_config("paper"), "few_shot")
    assert "not on this disk" in table2["maxi-clip_b16_maxi"].off and not table2["vifi_clip"].off
    assert (table2["maxi-clip_b16_maxi"].frames, table2["etl-viclip_b16"].frames) == (32, 8), "ViCLIP sees 8 frames"
    assert not rows(load_config("full"), "few_shot")["maxi-mini_clip_maxi"].off


def test_a_key_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    """YAML silently keeps the last one: a variant of the same name would replace another."""
    line = "  rates_2_4: {rates: [2, 4]}\n"
    first = 1 + (ROOT / "params.yaml").read_text(encoding="utf-8").split(line)[0].count("\n")
    twice = edited(tmp_path, line, line + line.replace("[2, 4]", "[2, 8]"))
    with pytest.raises(ConfigError, match=rf"key 'rates_2_4' is given twice, in line {first} and in line {first + 1};"):
        load_config("smoke", twice)
    lists = edited(tmp_path, "shot_lists: {}", "shot_lists: {ucf101: {'2': a.txt, 2: b.txt}}")
    with pytest.raises(ConfigError, match="key '2' is given twice"):
        load_config("smoke", lists)


def test_every_key_of_train_stands_written_out_with_the_default_of_the_code() -> None:
    """An experiment (`dvc exp run -S`) reaches only keys that stand in params.yaml."""
    raw = yaml_file.read_yaml(ROOT / "params.yaml")
    required = {"updates": 1, "batch_size": 1}
    assert build_section(TrainConfig, {**required, **raw["train_defaults"]}, "train_defaults") == TrainConfig(
        **required
    )
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    sections = [raw[profile]["train"] for profile in ("smoke", "mini", "paper", "rehearsal")]
    sections += [recipe["train"] for recipe in raw["recipes"].values()]
    assert len(sections) == 6 and all(set(section) == names for section in sections)


def test_an_entry_of_backbones_that_nothing_uses_is_let_be(tmp_path: Path) -> None:
    own = "  backbones:\n    mini_clip: {key: clip"
    spare = "    spare: {key: clip, model: mini_clip, size: B/16, weights: nowhere.pt, frames: [64]}\n"
    config = load_config("smoke", edited(tmp_path, own, own.replace(":\n", f":\n{spare}")))
    assert "spare" in config.profile.backbones and config.profile.used_backbones == ("mini_clip",)


def test_missing_methods_are_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1\nmini: &mini {name: mini}\nprofile: *mini\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml lacks methods"):
        load_config(root=tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="must be a mapping"):
        load_config(root=tmp_path)


def choices(section: type, key: str) -> set[str]:
    return set(typing.get_args(typing.get_type_hints(section)[key]))


def test_choices_are_those_of_the_modules_that_take_them() -> None:
    assert choices(ProtocolConfig, "sampling") == set(clips.SAMPLINGS) - {"segment_random"}
    assert choices(ProtocolConfig, "resize") == set(clips.RESIZES)
    assert choices(AnalysisConfig, "fusion") == set(metrics.FUSIONS)
    assert choices(BackboneConfig, "normalisation") == {"checkpoint", *backbones.NORMALISATIONS}


def test_a_profile_says_what_its_training_reads_and_may_have_a_note(tmp_path: Path) -> None:
    assert all(load_config(profile, ROOT).profile.reads for profile in ("smoke", "mini", "paper"))
    noted = edited(tmp_path, "  name: smoke\n", "  name: smoke\n  note: Two minutes.\n")
    assert load_config("smoke", noted).profile.note == "Two minutes." and load_config("smoke", ROOT).profile.note == ""
    with pytest.raises(ConfigError, match="smoke lacks reads"):
        load_config("smoke", edited(tmp_path, "  reads: ", "  #reads: "))


def test_unknown_profile_group_and_row() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mini'"):
        load_config("minni", ROOT)
    config = load_config("mini", ROOT)
    with pytest.raises(ConfigError, match="ablations"):
        rows(config, "ablation")
    with pytest.raises(ConfigError, match="did you mean 'loss_cls_rank'"):
        row(config, "ablations", "loss_cls_rnk")


def test_invalid_yaml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params.yaml is not valid YAML"):
        load_config(root=edited(tmp_path, "methods:", "methods: ]"))


def test_a_folder_without_params_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clone"):
        find_root(tmp_path)


def test_an_ablation_row_is_the_method_with_one_thing_changed() -> None:
    config = load_config("mini", ROOT)
    default, changed = row(config, "ablations", "default"), row(config, "ablations", "agg_max")
    assert changed.options == {**default.options, "aggregation": "max"}
    assert changed.cells == [("ucf101", 16), ("hmdb51", 16)]


def test_the_tuned_cell_is_a_row_of_its_own_track() -> None:
    found = rows(load_config("mini", ROOT), "few_shot")
    assert found["vidprism_c-tuned"].track == "tuned" and found["vidprism_c"].track == "frozen"
    assert len(found["vidprism_c-tuned"].cells) == 1
