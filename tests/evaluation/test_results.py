"""Records: written and read back, refused when broken, "not run" when absent or out of date."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.fake_results import BROKEN, N_VIDEOS, fake_config, fake_record
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.records.record import Record


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return fake_config(tmp_path)


@pytest.fixture
def record(config: Config) -> Record:
    return fake_record(config, rows(config, "few_shot")["mean_pool"])


def test_round_trip_keeps_every_row_in_order(config: Config, record: Record) -> None:
    path = results.write_results(config, "few_shot", [record])
    found = results.load_results(config, "few_shot")
    assert list(found) == list(rows(config, "few_shot"))
    assert found["mean_pool"] == record
    assert found["vidprism_c"]["status"] == "not run" and found["vidprism_c"]["cells"] == []
    before = path.read_bytes()
    results.write_results(config, "few_shot", [record])
    assert path.read_bytes() == before


def test_metrics_for_dvc(config: Config, record: Record) -> None:
    content = json.loads(results.write_results(config, "few_shot", [record]).read_text())
    mean = np.mean([cell["top1"]["mean"] for cell in record["cells"]])
    listed = content.pop("records")
    assert content == {"rows": 1, "cells": len(record["cells"]), "top1_mean": round(mean, 2)}
    assert [(entry["row"], entry["status"]) for entry in listed] == [("mean_pool", "measured")]


def test_the_headline_compares_rows_with_the_same_cells(record: Record) -> None:
    own = {**record, "row": "vidprism_c", "reading": "paper"}
    fewer = {**record, "row": "other", "cells": record["cells"][:1]}
    found = results.headline([record, own, fewer])
    assert found["rows"] == 3 and found["cells"] == 2 * len(record["cells"]) + 1
    assert found["top1_vidprism"] == found["top1_best_other"] == results.headline([record])["top1_mean"]
    assert "top1_best_other" not in results.headline([own, fewer]) or len(record["cells"]) == 1
    assert results.headline([]) == {"rows": 0, "cells": 0}


def test_cell_key() -> None:
    assert results.cell_key("hmdb51", 4) == "hmdb51_k4"
    assert results.cell_key("kinetics400", None) == "kinetics400_all"


def test_absent_file_means_not_run(config: Config) -> None:
    found = results.load_results(config, "ablations")
    assert list(found) == list(rows(config, "ablations"))
    assert {record["status"] for record in found.values()} == {"not run"}


def test_estimate() -> None:
    found = results.estimate(["1100-", "1000-"])
    assert found["mean"] == pytest.approx(37.5)
    assert found["ci95_repeats"][0] < 37.5 < found["ci95_repeats"][1]
    assert 0 <= found["ci95_groups"][0] <= found["ci95_groups"][1] <= 100
    assert found["ci95"][0] <= found["ci95_groups"][0] and (found["n_draws"], found["n_groups"]) == (2, 4)
    alone = results.estimate(["1010"], "0 0 1 1")
    assert (alone["ci95_repeats"], alone["n_draws"], alone["n_groups"]) == (None, 1, 2)
    assert alone["ci95"] == alone["ci95_groups"]


def test_groups_are_numbers_in_order_of_appearance() -> None:
    """A video without a group is a group of its own; a dataset without groups has none."""
    assert results.encode_groups(["b", "b", "", "a", "", "b"]) == "0 0 1 2 3 0"
    assert results.decode_groups("0 0 1 2 3 0").tolist() == [0, 0, 1, 2, 3, 0]
    assert results.encode_groups(["", ""]) is None and results.decode_groups(None) is None


def test_groups_of_another_list_are_refused(config: Config, record: Record) -> None:
    record["cells"][0]["groups"] = "0 0 1"
    with pytest.raises(results.ResultsError, match=r"n_listed is 120 but 3 have a group"):
        results.write_results(config, "few_shot", [record])
    with pytest.raises(ValueError, match="no test video is readable"):
        results.estimate(["--"])


def test_answers_and_find_cell(record: Record) -> None:
    cell = results.find_cell(record, "ucf101", 16)
    matrix = results.cell_answers(cell)
    assert matrix.shape == (5, N_VIDEOS) and (matrix[:, BROKEN] == -1).all()
    assert 100 * matrix[0][matrix[0] >= 0].mean() == pytest.approx(cell["repeats"][0]["top1"])
    assert results.find_cell(record, "ucf101", 3) is None


def test_changed_configuration_is_not_shown(config: Config) -> None:
    """A result made with other options than params.yaml now asks for must not appear under the new ones."""
    row = rows(config, "ablations")["rates_2"]
    results.write_results(config, "ablations", [fake_record(config, row)])
    assert results.load_results(config, "ablations")["rates_2"]["status"] == "measured"
    variants = {**config.profile.ablations.variants, "rates_2": {"rates": [4]}}
    edited = dataclasses.replace(
        config.profile, ablations=dataclasses.replace(config.profile.ablations, variants=variants)
    )
    found = results.load_results(dataclasses.replace(config, profile=edited), "ablations")["rates_2"]
    assert found["status"] == "not run" and "rates" in found["reason"] and "dvc repro" in found["reason"]


def _profile(config: Config, **changed: object) -> Config:
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, **changed))


@pytest.mark.parametrize(
    ("section", "edit", "named"),
    [
        ("few_shot", {"backbone": "other"}, "backbone"),
        ("few_shot", {"frames": 8}, "frames"),
        ("few_shot", {"repeats": (0, 1)}, "repeats"),
        ("train", {"updates": 7}, "updates"),
        ("train", {"batch_size": 7}, "batch_size"),
    ],
)
def test_every_changed_setting_is_noticed(config: Config, record: Record, section: str, edit: dict, named: str) -> None:
    results.write_results(config, "few_shot", [record])
    changed = _profile(config, **{section: dataclasses.replace(getattr(config.profile, section), **edit)})
    found = results.load_results(changed, "few_shot")["mean_pool"]
    assert found["status"] == "not run" and f"({named})" in found["reason"]


@pytest.mark.parametrize("edit", [{"size": "L/14"}, {"model": "ViT-B-32"}, {"key": "videomae"}])
def test_another_backbone_under_the_same_name_is_noticed(config: Config, record: Record, edit: dict) -> None:
    results.write_results(config, "few_shot", [record])
    spec = dataclasses.replace(config.profile.backbones["mini_clip"], **edit)
    found = results.load_results(
        _profile(config, backbones={**config.profile.backbones, "mini_clip": spec}), "few_shot"
    )
    assert (
        found["mean_pool"]["status"] == "not run"
        and f"({next(iter(edit))} of the backbone)" in (found["mean_pool"]["reason"])
    )


def test_what_is_not_trained_has_no_updates_to_change(config: Config) -> None:
    record = fake_record(config, rows(config, "few_shot")["clip_zeroshot"])
    record["config"]["train"]["updates"] = 0
    for cell in record["cells"]:
        cell["updates"] = cell["batch_size"] = 0
    results.write_results(config, "few_shot", [record])
    train = dataclasses.replace(config.profile.train, updates=7, batch_size=7)
    assert results.load_results(_profile(config, train=train), "few_shot")["clip_zeroshot"]["status"] == "measured"


def test_a_cell_with_fewer_clips_than_a_batch_is_not_out_of_date(config: Config, record: Record) -> None:
    record["cells"][0]["batch_size"] = 24
    results.write_results(config, "few_shot", [record])
    assert results.load_results(config, "few_shot")["mean_pool"]["status"] == "measured"


def test_a_removed_switch_is_noticed(config: Config) -> None:
    """A record holds complete options; one that no row asks for any more differs from the default row's."""
    made = [fake_record(config, row) for row in rows(config, "ablations").values()]
    for record in made:  # as the method resolves them: the switch's default, the preset of another reading
        record["config"]["options"].setdefault("act", "quickgelu" if record["reading"] == "released" else "gelu")
    results.write_results(config, "ablations", made)
    assert {r["status"] for r in results.load_results(config, "ablations").values()} == {"measured"}
    ablations = config.profile.ablations
    variants = {**ablations.variants, "to_act": {}}
    edited = _profile(config, ablations=dataclasses.replace(ablations, variants=variants))
    found = results.load_results(edited, "ablations")
    assert [key for key, r in found.items() if r["status"] != "measured"] == ["to_act"]
    assert "act was quickgelu" in found["to_act"]["reason"]


@pytest.mark.parametrize("text", ['{"records": [', "[]", '{"records": 3}', "", "\ufffe"])
def test_broken_file_is_named(config: Config, text: str) -> None:
    path = paths.results(config, "few_shot")
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(results.ResultsError, match=r"few_shot\.json"):
        results.load_results(config, "few_shot")


def _without(key: str, *way: object) -> object:
    def edit(record: Record) -> None:
        target = record
        for step in way:
            target = target[step]
        del target[key]

    return edit


def _short_answers(record: Record) -> None:
    record["cells"][0]["repeats"][0]["correct"] = "01"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda record: record.update(schema=99), "schema 99"),
        (_without("method"), "lacks method"),
        (_without("row"), "lacks 'row'"),
        (_without("n_scored", "cells", 0), "lacks n_scored"),
        (_without("correct5", "cells", 0, "repeats", 2), "lacks correct5"),
        (_short_answers, "n_listed is 120 but a repeat answers 2"),
    ],
)
def test_bad_record_is_refused(config: Config, record: Record, edit: object, message: str) -> None:
    results.write_results(config, "few_shot", [record])
    broken = copy.deepcopy(record)
    edit(broken)
    paths.row_results(config, "few_shot", "mean_pool").write_text(json.dumps(broken))
    with pytest.raises(results.ResultsError, match=message):
        results.load_results(config, "few_shot")


def test_a_bad_record_is_not_written(config: Config, record: Record) -> None:
    _short_answers(record)
    with pytest.raises(results.ResultsError, match="n_listed is 120 but a repeat answers 2"):
        results.write_results(config, "few_shot", [record])
    assert not paths.results(config, "few_shot").exists()


def test_the_file_of_a_row_must_be_the_listed_one(config: Config, record: Record) -> None:
    results.write_results(config, "few_shot", [record])
    file = paths.row_results(config, "few_shot", "mean_pool")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(results.ResultsError, match=r"mean_pool\.json is not the file that few_shot\.json lists"):
        results.load_results(config, "few_shot")
    file.unlink()
    with pytest.raises(results.ResultsError, match=r"mean_pool\.json is missing"):
        results.load_results(config, "few_shot")


def test_files_of_rows_that_left_the_group_go(config: Config, record: Record) -> None:
    results.write_results(config, "few_shot", [record, {**record, "row": "other"}])
    results.write_results(config, "few_shot", [record])
    assert [file.name for file in paths.results(config, "few_shot").with_suffix("").iterdir()] == ["mean_pool.json"]


def test_optional_keys_are_optional(config: Config, record: Record) -> None:
    for cell in record["cells"]:
        del cell["parameters"]
        for repeat in cell["repeats"]:
            del repeat["loss_flat"], repeat["draw_sha256"]
    results.write_results(config, "few_shot", [record])
    assert results.load_results(config, "few_shot")["mean_pool"]["status"] == "measured"


def test_committed_results_stay_small() -> None:
    folder = Path(__file__).resolve().parents[2] / "reports" / "results"
    sizes = {name: sum(f.stat().st_size for f in (folder / name).rglob("*.json")) for name in ("mini", "full")}
    assert sum(sizes.values()) < 10e6, sizes
