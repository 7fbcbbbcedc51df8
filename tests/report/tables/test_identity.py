"""A row is what it trained: labels, the mark "not in the paper", published numbers and verdicts follow from the record,
whatever the row is called.
"""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest

from tests.fake_results import fake_config, fake_record, write_all
from vidprism import paper
from vidprism.config import Config, ConfigError
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.methods import vidprism_c, vidprism_c_released
from vidprism.report import tables
from vidprism.report.tables import identity
from vidprism.report.tables.layout import Line, Table

WORSE = {"rates_2_4": 0.3}


def with_profile(config: Config, section: str, **edit: Any) -> Config:
    changed = dataclasses.replace(getattr(config.profile, section), **edit)
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, **{section: changed}))


def with_variants(config: Config, **variants: dict) -> Config:
    return with_profile(config, "ablations", variants={**config.profile.ablations.variants, **variants})


def measured(config: Config, accuracy: dict[str, float] | None = None) -> Config:
    write_all(config, accuracy)
    return config


def lines_of(table: Table, run: str) -> list[Line]:
    return [line for line in table.lines if line.run == run]


def is_not_in_the_paper(line: Line) -> bool:
    unprinted = all(p.value is None for p in line.published)
    return line.extra and unprinted and all(e.change is None or e.change.paper is None for e in line.entries)


def test_a_key_that_says_something_else_is_not_believed(tmp_path: Path) -> None:
    config = measured(with_variants(fake_config(tmp_path), rates_2_4={"rates": [4, 8]}), WORSE)
    table = tables.build_table(config, 3)
    (line,) = lines_of(table, "rates_2_4")
    assert line.labels == ("2 experts", "4, 8 [rates_2_4]") and not line.extra
    assert [p.value for p in line.published] == [95.2, 73.7] and line.entries[0].change.paper == -1
    assert [x.labels[1] for x in lines_of(table, "rates_4_8")] == ["4, 8 [rates_4_8]"]
    (printed,) = [x for x in table.lines if x.labels == ("2 experts", "2, 4")]
    assert (printed.status, printed.run, printed.published[0].value) == ("not run", "", 95.1)
    assert "no variant of params.yaml trains this on 32 frames (rates=[2, 4])" in printed.entries[0].reason


def test_the_full_model_of_eight_frames_is_not_the_printed_one(tmp_path: Path) -> None:
    config = measured(fake_config(tmp_path, "smoke"), WORSE)
    table = tables.build_table(config, 3)
    (default,), (pair,) = lines_of(table, "default"), lines_of(table, "rates_2_4")
    assert default.labels == ("3 experts", "2, 4, 8 (8 frames)") and is_not_in_the_paper(default)
    assert pair.labels == ("2 experts", "2, 4 (8 frames)") and is_not_in_the_paper(pair)
    assert {line.status for line in table.lines if not line.extra} == {"not run"}
    (full,) = lines_of(tables.build_table(config, 5), "default")[
        :1
    ]  # what all others are compared with is in every part
    assert full.labels == ("rates=[2, 4, 8], 8 frames",) and is_not_in_the_paper(full)


def test_the_record_decides_and_not_params(tmp_path: Path) -> None:
    """A record whose method filled its options in otherwise than it would today."""
    config = fake_config(tmp_path)
    made = [fake_record(config, row) for row in rows(config, "ablations").values()]
    for record in made:
        if record["row"] in ("default", "int_none"):
            record["config"]["options"]["rates"] = [2, 4, 8]
    results.write_results(config, "ablations", made)
    table = tables.build_table(config, 3)
    assert [line.labels for line in lines_of(table, "default")] == [("3 experts", "2, 4, 8 [default]")]
    (full,) = [line for line in table.lines if line.labels == ("4 experts", "2, 4, 8, 16")]
    assert full.status == "not run" and all(e.change is None for line in table.lines for e in line.entries)
    (without,) = lines_of(table, "int_none")
    assert without.labels == ("3 experts", "2, 4, 8 (interaction=none)") and is_not_in_the_paper(without)


@pytest.mark.parametrize(
    ("changed", "table", "label"),
    [
        ({"interaction": "none", "tau": 1.0}, 5, "tau=1.0, interaction=none"),
        ({"lambda_gate": 0.5}, 4, "lambda_gate=0.5"),
        ({"combination": "avg", "reading": "released"}, 5, "reading=released, combination=avg"),
        ({"rates": [2, 4], "act": "quickgelu"}, 3, "2, 4 (act=quickgelu)"),
        ({"rates": [2, 32]}, 3, "2, 32"),
    ],
)
def test_what_the_paper_has_not_trained_is_named_by_what_was(
    tmp_path: Path, changed: dict, table: int, label: str
) -> None:
    config = measured(with_variants(fake_config(tmp_path), agg_avg=changed))
    built = tables.build_table(config, table)
    (line,) = lines_of(built, "agg_avg")
    assert line.labels[-1] == label and is_not_in_the_paper(line) and line.status == "measured"
    fifth = tables.build_table(config, 5)
    assert [x.labels[0] for x in fifth.lines if x.status == "not run"] == ["Avg Pooling"]


@pytest.mark.parametrize("key", ["mine", "to_act"])
def test_a_printed_ablation_under_any_name_gets_its_numbers(tmp_path: Path, key: str) -> None:
    variants = {"default": {}, key: {"interaction": "fast2slow"}}
    config = measured(with_profile(fake_config(tmp_path), "ablations", variants=variants), {key: 0.2})
    (line,) = lines_of(tables.build_table(config, 5), key)
    assert (
        line.labels == ("Fast2Slow",) and line.published[0].value == 95.0 and line.entries[0].change.verdict == "agrees"
    )


def test_the_full_model_twice_stands_twice(tmp_path: Path) -> None:
    table = tables.build_table(measured(with_variants(fake_config(tmp_path), again={})), 4)
    assert [x.labels[0] for x in table.lines if x.default] == [
        f"L_cls + L_rank + L_div + L_gate [{key}]" for key in ("default", "again")
    ]
    keys = [tuple(x[k] for k in ("block", "row", "column")) for x in csv.DictReader(io.StringIO(tables.to_csv(table)))]
    assert len(keys) == len(set(keys))


def test_another_base_moves_every_row_out_of_the_paper(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    config = measured(dataclasses.replace(config, methods={**config.methods, "vidprism_c": {"reading": "released"}}))
    for number in (3, 4, 5):
        table = tables.build_table(config, number)
        assert all(is_not_in_the_paper(line) for line in table.lines if line.run)
        assert {line.status for line in table.lines if not line.extra} == {"not run"}
    assert lines_of(tables.build_table(config, 3), "rates_2")[0].labels == ("1 expert", "2 (reading=released)")


@pytest.mark.parametrize("number", [1, 2])
def test_a_method_with_other_options_is_not_the_printed_one(tmp_path: Path, number: int) -> None:
    config = fake_config(tmp_path)
    edited = {"reading": "paper", "interaction": "none"}
    config = measured(dataclasses.replace(config, methods={**config.methods, "vidprism_c": edited}))
    table = tables.build_table(config, number)
    found = [line for line in table.lines if line.record and line.record["method"] == "vidprism_c"]
    assert found and all(is_not_in_the_paper(line) for line in found)
    assert {line.labels[0] for line in found} == {"VidPrism-C (interaction=none)"}
    printed = [line for line in table.lines if line.labels[0] in ("VidPrism-B/16", "VidPrism-C")]
    assert printed and {line.status for line in printed} == {"not run"}
    assert "with the paper's options" in printed[0].entries[0].reason


def test_frames_and_size_of_table_1_are_the_records(tmp_path: Path) -> None:
    config = measured(with_profile(fake_config(tmp_path), "closed_set", frames=(8, 16)))
    table = tables.build_table(config, 1)
    (odd,) = lines_of(table, "vidprism_c-mini_clip-16f")
    assert odd.labels == ("VidPrism-C (16 frames)", "16 frames") and is_not_in_the_paper(odd)
    (known,) = lines_of(table, "vidprism_c-mini_clip-8f")
    assert known.labels == ("VidPrism-B/16", "8×4×3") and known.published[0].value == 84.0
    spec = dataclasses.replace(config.profile.backbones["mini_clip"], size="L/14")
    large = dataclasses.replace(config.profile, backbones={**config.profile.backbones, "mini_clip": spec})
    table = tables.build_table(measured(dataclasses.replace(config, profile=large)), 1)
    (known,) = lines_of(table, "vidprism_c-mini_clip-8f")
    assert known.labels[0] == "VidPrism-L/14" and known.contest == "L/14" and known.published[0].value == 87.4


def test_vidprism_m_is_the_head_on_an_encoder_of_clips(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    video = dataclasses.replace(config.profile.few_shot.video, methods=("mean_pool", "vidprism_c"))
    table = tables.build_table(measured(with_profile(config, "few_shot", video=video)), 2)
    (line,) = lines_of(table, "vidprism_c-mini_videomae")
    assert line.labels == ("VidPrism-C (on mini_videomae)",) and is_not_in_the_paper(line)
    assert next(x for x in table.lines if x.labels == ("VidPrism-M",)).status == "not run"


@pytest.mark.parametrize(
    ("track", "tuning", "expected"),
    [
        ("frozen", "full", "on frozen features"),
        ("tuned", "full", ""),
        ("tuned", "frozen", "on a frozen backbone"),
        ("tuned", "partial", "with a part of the backbone tuned"),
    ],
)
def test_what_of_the_model_was_trained_stands_beside_the_name(
    tmp_path: Path, track: str, tuning: str, expected: str
) -> None:
    config = fake_config(tmp_path)
    row = dataclasses.replace(rows(config, "few_shot")["vidprism_c"], track=track)
    record = fake_record(config, row)
    record["config"]["train"]["tuning"] = tuning
    trained = identity.from_record(record)
    assert trained.setting == expected and identity.title(trained) == f"VidPrism-C {expected}".rstrip()
    assert any(identity.is_row(printed, trained) for printed in paper.load_published(2))
    record["method"] = "mean_pool"
    assert identity.from_record(record).setting == "", "the paper has no such method"


def test_every_line_of_the_frozen_track_says_so(tmp_path: Path) -> None:
    config = measured(fake_config(tmp_path))
    for number in paper.TITLES:
        for line in tables.build_table(config, number).lines:
            tuned_by_the_paper = bool(line.record) and line.record["method"].startswith("vidprism")
            frozen = bool(line.record) and line.record["track"] == "frozen"
            assert line.setting == ("on frozen features" if tuned_by_the_paper and frozen else "")
    found = csv.DictReader(io.StringIO(tables.to_csv(tables.build_table(config, 2))))
    assert {x["setting"] for x in found if x["run"] == "vidprism_c"} == {"on frozen features"}


def test_the_panel_says_how_the_printed_numbers_were_made(tmp_path: Path) -> None:
    config = measured(fake_config(tmp_path))
    assert {b.panel_heading for n in (3, 4, 5) for b in tables.build_table(config, n).blocks} == {identity.WHOLE_MODEL}
    main, _, tuned = tables.build_table(config, 2).blocks
    assert main.panel_heading == "Published by the paper", "its sections say it"
    assert {line.published_as for line in main.lines if line.section == "Tuning"} == {identity.WHOLE_MODEL}
    assert {line.published_as for line in main.lines if line.section != "Tuning"} == {""}
    assert tuned.panel_heading == f"Published by the paper; VidPrism-C: {identity.WHOLE_MODEL}"


def test_a_switch_that_there_is_not_is_named_with_its_row(tmp_path: Path) -> None:
    config = with_variants(fake_config(tmp_path), mine={"rate": [2]})
    with pytest.raises(ConfigError, match=r"params\.yaml: row 'mine' of ablations: unknown switch 'rate'"):
        tables.build_table(config, 3)


@pytest.mark.parametrize("frames", [8, 16, 32])
@pytest.mark.parametrize("method", [vidprism_c, vidprism_c_released])
def test_a_row_that_has_not_run_has_the_options_that_it_would_get(tmp_path: Path, method: Any, frames: int) -> None:
    config, name = fake_config(tmp_path), method.__name__.rsplit(".", 1)[-1]
    for options in ({}, {"rates": None, "tau": 0.5}, {"rates": [2, 4], "reading": "released"}):
        row = dataclasses.replace(rows(config, "few_shot")[name], frames=frames, options=copy.deepcopy(options))
        assert identity.of(config, row).options == method.resolve(options, frames)


def test_a_row_that_is_trained_otherwise_is_not_the_printed_one(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "full")
    expected = rows(config, "few_shot")
    made = [fake_record(config, expected[key]) for key in ("vidprism_c", "mote", "vifi_clip-mini_viclip", "mean_pool")]
    for key in ("vidprism_c-released", "mote-continued"):
        record = fake_record(config, expected[key])
        record["config"] |= {name: getattr(expected[key], name) for name in ("augment", "init_from")}
        made.append(record)
    results.write_results(config, "few_shot", made)
    lines = {line.run: line for line in tables.build_table(config, 2).blocks[0].lines if line.run}
    assert lines["vidprism_c"].labels == ("VidPrism-C",) and not lines["vidprism_c"].extra
    assert lines["vidprism_c-released"].labels == ("VidPrism-C (augmentation released)",)
    assert lines["mote-continued"].labels == ("Label of mote (from mote-mini_clip-8f)",)
    assert lines["vidprism_c-released"].extra and lines["mote-continued"].extra
    assert lines["vifi_clip-mini_viclip"].labels == ("ViCLIP",) and lines["mean_pool"].extra


def test_a_row_with_the_recipe_of_its_authors_says_so(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    expected = rows(config, "closed_set")
    made = []
    for key in ("st_adapter-clip_b16-8f", "x_clip-clip_b16-8f", "stan-clip_b16-8f"):
        record, own = fake_record(config, expected[key]), expected[key].own
        record["config"] |= {"own": dataclasses.asdict(own)} if own else {}
        made.append(record)
    results.write_results(config, "closed_set", made)
    block = tables.build_table(config, 1).blocks[0]
    settings = {line.run: line.setting for line in block.lines if line.run}
    assert settings["st_adapter-clip_b16-8f"] == "authors' recipe without dense sampling"
    assert settings["x_clip-clip_b16-8f"] == "authors' recipe" and settings["stan-clip_b16-8f"] == ""
    assert settings["aim-clip_b16-8f"] == "authors' recipe without dense sampling"  # before it has run
    assert not next(line for line in block.lines if line.run == "x_clip-clip_b16-8f").extra


def test_the_encoder_tells_rows_of_one_method_apart(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "full")
    write_all(config)
    of_row = {line.run: line.labels[0] for line in tables.build_table(config, 2).blocks[0].lines if line.run}
    assert of_row["clip_zeroshot"] == "CLIP" and of_row["clip_zeroshot-mini_viclip"] == "ViCLIP"
    assert of_row["mean_pool-mini_videomae"] == "VideoMAEv2" and of_row["etl-mini_viclip"] == "ETL"
    assert of_row["maxi-mini_clip_maxi"] == "MAXI" and of_row["vidprism_m-mini_videomae"] == "VidPrism-M"
    printed = [row.name for row in paper.load_published(2)]
    assert set(printed) <= set(of_row.values()), "every printed row of Table 2 has a run"


@pytest.mark.parametrize(
    ("dropout", "label"), [(0.5, "Label of st_adapter"), (0.1, "Label of st_adapter (dropout=0.1)")]
)
def test_options_as_usual_are_not_named(tmp_path: Path, dropout: float, label: str) -> None:
    config = fake_config(tmp_path, "full")
    record = fake_record(config, rows(config, "few_shot")["st_adapter"])
    record["config"]["options"] = {"places": ["mlp"], "dropout": dropout}
    results.write_results(config, "few_shot", [record])
    (line,) = lines_of(tables.build_table(config, 2), "st_adapter")
    assert line.labels == (label,)
