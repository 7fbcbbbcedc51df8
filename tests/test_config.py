"""params.yaml is read strictly: what is wrong is named, with the nearest right name."""

from pathlib import Path

import pytest

from vidprism.config import ConfigError, find_root, load_config
from vidprism.rows import row, rows

ROOT = Path(__file__).resolve().parents[1]


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


TRAIN = "  train: {updates: 20, batch_size: 16}"
FEW_SHOT = "backbone: mini_clip, frames: 8, shots: [2]"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (TRAIN, TRAIN.replace("updates", "update"), ["smoke.train.update", "did you mean 'updates'"]),
        (TRAIN, "  train: {updates: 20}", ["smoke.train lacks batch_size"]),
        (TRAIN, TRAIN.replace("20", "many"), ["smoke.train.updates must be int"]),
        ("  datasets: [ucf101]", "  datasets: [ucf102]", ["unknown dataset 'ucf102'", "did you mean 'ucf101'"]),
        ("  datasets: [ucf101]", "  datasets: ucf101", ["smoke.datasets must be a list"]),
        ("methods:\n", "methods:\n  vidprism_d: {}\n", ["unknown method 'vidprism_d'", "vidprism_c"]),
        ("seed: 1024", "seeed: 1024", ["unknown key 'seeed'", "did you mean 'seed'"]),
        (FEW_SHOT, FEW_SHOT.replace("clip", "clop"), ["unknown backbone 'mini_clop'", "mini_clip"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", edited(tmp_path, old, new))
    assert all(word in str(caught.value) for word in words), str(caught.value)


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
