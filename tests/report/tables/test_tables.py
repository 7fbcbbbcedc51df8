"""The tables' shape and statuses, bold and signs, and what happens to rows that are added, removed or
missing.
"""

import csv
import dataclasses
import io
from pathlib import Path

import pytest

from tests.fake_results import GROUPED, PAIRED, fake_config, fake_record, searched, write_all
from vidprism import complexity, paper
from vidprism.complexity import count
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS, rows
from vidprism.evaluation import evaluate, results
from vidprism.records.record import ResultsError
from vidprism.report import tables
from vidprism.report.tables.ablations import home
from vidprism.report.tables.layout import Line, Table
from vidprism.report.tables.setting import setting

KEYS = {3: ("rates",), 4: ("loss",), 5: ("agg", "int", "comb")}  # how params.yaml names the variants of each table
ACCURACY = {"rates_2": 0.3, "mean_pool": 0.3, "comb_mlp": 0.9, "vidprism_c": 0.8}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config, ACCURACY)
    return config


@pytest.fixture(scope="module")
def built(config: Config) -> dict[int, Table]:
    return {number: tables.build_table(config, number) for number in paper.TITLES}


def _line(table: Table, run: str) -> Line:
    return next(line for line in table.lines if line.run == run)


def _with_variants(config: Config, variants: dict[str, dict]) -> Config:
    ablations = dataclasses.replace(config.profile.ablations, variants=variants)
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, ablations=ablations))


@pytest.mark.parametrize("number", paper.TITLES)
def test_every_printed_row_is_there_in_order(built: dict[int, Table], number: int) -> None:
    printed = [row.name for row in paper.load_published(number)]
    shown = [line.labels[1 if number == 3 else 0] for line in built[number].lines if not line.extra]
    tuned = 2 if number == 2 else 0  # zero-shot and VidPrism-C stand a second time in the block of the tuned track
    assert shown[: len(shown) - tuned] == printed
    values = [[cell.value for cell in line.published] for line in built[number].lines if not line.extra]
    assert values[: len(printed)] == [list(row.numbers.values()) for row in paper.load_published(number)]


@pytest.mark.parametrize("number", paper.TITLES)
def test_every_run_of_the_profile_is_shown_once(config: Config, built: dict[int, Table], number: int) -> None:
    if number <= 2:
        expected = set(rows(config, "closed_set" if number == 1 else "few_shot"))
    else:
        expected = {key for key in config.profile.ablations.variants if key.split("_")[0] in KEYS[number]} | {"default"}
    shown = [line.run for line in built[number].lines if line.run]
    assert set(shown) == expected and len(shown) == len(set(shown)) + 2 * (number == 5)


def test_statuses(built: dict[int, Table]) -> None:
    status = {(n, line.labels): line.status for n in (1, 2) for line in built[n].lines}
    assert status[1, ("VidPrism-B/16", "32×4×3")] == status[1, ("VidPrism-B/16", "8×4×3")] == "measured"
    assert status[1, ("VidPrism-L/14", "8×4×3")] == "not run"
    assert status[1, ("FocusVideo-L/14", "8×4×3")] == "reported"
    assert status[2, ("VidPrism-M",)] == "measured"
    assert status[2, ("MAXI",)] == status[2, ("MoTE",)] == "not run"
    assert status[2, ("CLIP",)] == status[2, ("VidPrism-C",)] == "measured"
    assert all(line.status == "measured" for n in (3, 4, 5) for line in built[n].lines)


def test_measured_cells_carry_the_record(config: Config, built: dict[int, Table]) -> None:
    line = _line(built[2], "vidprism_c")
    for column, entry in zip(built[2].blocks[0].columns, line.entries, strict=True):
        cell = results.find_cell(line.record, column.dataset, column.shots)
        assert (entry.mean, list(entry.groups)) == (cell["top1"]["mean"], cell["top1"]["ci95_groups"])
        assert entry.half_width == pytest.approx(cell["top1"]["ci95"][1] - entry.mean)
        assert entry.parts[0] == pytest.approx(cell["top1"]["ci95_repeats"][1] - entry.mean)
        assert entry.accuracy.n_groups == (40 if column.dataset in GROUPED else 119)
        assert (entry.n_scored, entry.n_listed) == (119, 120)
    top5 = _line(built[1], "vidprism_c-mini_clip-32f").entries[1]
    assert top5.mean == line.record["cells"][0]["top5"]["mean"] or top5.mean > 60


def test_table1_has_the_cost_of_measured_and_of_printed_models(config: Config, built: dict[int, Table]) -> None:
    block = built[1].blocks[0]
    line = _line(built[1], "vidprism_c-mini_clip-32f")
    expected = count("vidprism_c", "mini_clip", 32, n_classes=10, track="frozen")
    assert line.facts == (
        "32, 2 × 1",
        f"{expected.gmacs:.3g}",
        f"{expected.parameters / 1e6:.3g} ({expected.trainable_parameters / 1e6:.3g})",
    )
    assert line.cost.gmacs == pytest.approx(562.2, abs=0.1)  # of the printed ViT-B/16, whatever stands in for it here
    for other in block.lines:
        assert len(other.facts) == len(block.fact_headings) and (other.cost is None) == other.extra
    costs = [x for x in csv.DictReader(io.StringIO(tables.to_csv(built[1]))) if x["column"] == "gmacs_per_view"]
    assert len(costs) == len(paper.load_published(1))
    text4vis = next(x for x in costs if x["row"].startswith("Text4Vis"))
    assert (text4vis["published"], text4vis["verdict"]) == ("1662", "counts no attention")
    assert float(text4vis["mean"]) == pytest.approx(2593.8, abs=0.1)


def test_a_method_without_a_formula_is_not_counted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity, "has_formula", lambda method, key: method != "mean_pool")
    built = tables.build_table(config, 1)
    assert _line(built, "mean_pool-mini_clip-32f").facts == ("32, 2 × 1", "no formula", "no formula")


def test_headings_name_generated_data(built: dict[int, Table]) -> None:
    assert {c.group for c in built[2].blocks[0].columns} == {"mini-HMDB", "mini-UCF", "mini-SSv2"}
    assert {group for group, _ in built[2].blocks[0].published_headings} == {"HMDB-51", "UCF-101", "SSv2"}
    assert {c.group for c in built[1].blocks[0].columns} == {"mini-K400"}


def test_bold_is_the_best_and_what_cannot_be_separated(built: dict[int, Table]) -> None:
    vidprism, pooled = _line(built[2], "vidprism_c"), _line(built[2], "mean_pool")
    assert all(e.best for e in vidprism.entries) and not any(e.best for e in pooled.entries)
    part_c = built[5].blocks[2]
    assert [line.labels[0] for line in part_c.lines if line.entries[0].best] == ["MLP"]
    part_b = built[5].blocks[1]  # four equally good rows
    assert all(line.entries[0].best for line in part_b.lines)
    assert not any(e.best for line in built[2].lines if line.status != "measured" for e in line.entries)


def test_signs(built: dict[int, Table]) -> None:
    worse = _line(built[3], "rates_2").entries[0].change
    assert (worse.paper, worse.measured, worse.verdict) == (-1, -1, "agrees")
    better = _line(built[5], "comb_mlp").entries[0].change
    assert (better.paper, better.measured, better.verdict) == (-1, 1, "opposite")
    assert _line(built[5], "int_none").entries[0].change.verdict == "not separable"
    assert all(e.change is None for n in (3, 4, 5) for line in built[n].lines if line.default for e in line.entries)
    assert all(e.change is None for n in (1, 2) for line in built[n].lines for e in line.entries)


def test_no_difference_to_the_paper_on_generated_data(built: dict[int, Table]) -> None:
    assert not any(cell.difference for table in built.values() for line in table.lines for cell in line.published)


def test_no_difference_where_table1_runs_on_another_dataset(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    closed_set = dataclasses.replace(config.profile.closed_set, dataset="custom")
    config = dataclasses.replace(config, profile=dataclasses.replace(config.profile, closed_set=closed_set))
    write_all(config)
    table = tables.build_table(config, 1)
    assert any(line.status == "measured" and not line.extra for line in table.lines)
    assert all(cell.difference is None for line in table.lines for cell in line.published)


def test_difference_to_the_paper_on_real_data(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    write_all(config)
    line = _line(tables.build_table(config, 3), "rates_2")
    assert line.published[0].difference == pytest.approx(line.entries[0].mean - 94.8)
    first = tables.build_table(config, 1)
    assert {c.group for c in first.blocks[0].columns} == {"Kinetics-400"}
    statuses = {line.labels[0]: line.status for line in first.lines if not line.extra}
    assert statuses["VidPrism-L/14"] == statuses["VidPrism-B/16"] == "measured"
    assert not first.generated and dict(first.setting)["Track"].startswith("tuned")


def test_tuned_track_stands_apart(built: dict[int, Table]) -> None:
    main, _, tuned = built[2].blocks
    assert {line.record["track"] for line in main.lines if line.record} == {"frozen"}
    assert {line.record["track"] for line in tuned.lines} == {"tuned"}
    assert "tuned" in tuned.title and "tuned" in tuned.note.lower()
    assert dict(built[2].setting)["Track"].startswith("frozen")


def test_captions_say_where_the_learning_rate_and_the_videos_come_from(built: dict[int, Table]) -> None:
    first, second, third = (dict(built[number].setting) for number in (1, 2, 3))
    assert first["Training videos per class"] == "training list without the dev pool"
    assert "learning rate from the search on the dev pool" in second["Training"]
    assert "learning rate found for the default row" in third["Training"] and "dev pool" not in third["Training"]
    assert "learning rate from the search on the dev pool, on the tuned track" in built[2].blocks[2].note


def test_captions_name_the_setting(built: dict[int, Table]) -> None:
    for number in (3, 4, 5):
        setting = dict(built[number].setting)
        assert setting["Training videos per class"] == "K=16" and setting["Split"].startswith("1")
        assert (
            setting["Frames"] == "32" and "2 clips × 1 crop" in setting["Views"] and setting["Repeats"].startswith("5")
        )
        assert "mini_clip" in setting["Backbone"] and "300 updates" in setting["Training"]


def test_a_caption_names_the_splits_where_datasets_differ(built: dict[int, Table]) -> None:
    config = fake_config(Path("."))
    protocol = dataclasses.replace(config.profile.protocol, splits={"hmdb51": 3})
    config = dataclasses.replace(config, profile=dataclasses.replace(config.profile, protocol=protocol))
    splits = {number: dict(setting(config, number))["Split"] for number in (1, 2)}
    assert splits[1] == dict(built[1].setting)["Split"] == "1, tested on its test list"
    assert splits[2] == "mini-HMDB 3, mini-UCF 1, mini-SSv2 1, tested on its test list"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"rates": [2, 32]}, (3, "")),
        ({"lambda_gate": 1}, (4, "")),
        ({"lambda_text": 0.5}, (4, "")),
        ({"aggregation": "avg", "tau": 1}, (5, "a")),
        ({"interaction": "none"}, (5, "b")),
        ({"tau": 1, "combination": "mlp"}, (5, "c")),
        ({"delta": 1.0}, (0, "")),
        ({"lambda_text": 0.01}, (0, "")),  # the released code's value
        ({}, (0, "")),
    ],
)
def test_home_of_a_variant(changed: dict, expected: tuple) -> None:
    assert home(changed) == expected


def test_added_variant_is_an_extra_row(config: Config) -> None:
    added = _with_variants(config, {**config.profile.ablations.variants, "mine": {"rates": [2, 32]}})
    table = tables.build_table(added, 3)
    last = table.lines[-1]
    assert len(table.lines) == 15 and last.extra and last.run == "mine" and last.status == "not run"
    assert last.labels == ("2 experts", "2, 32")
    assert all(cell.value is None for cell in last.published)
    assert len(tables.build_table(added, 4).lines) == 4


def test_removed_variant_stays_as_not_run(config: Config) -> None:
    variants = {k: v for k, v in config.profile.ablations.variants.items() if k != "rates_4"}
    line = tables.build_table(_with_variants(config, variants), 3).lines[1]
    assert line.labels == ("1 expert", "4") and line.status == "not run" and "rates=[4]" in line.entries[0].reason


def test_without_default_there_are_no_signs(config: Config) -> None:
    variants = {k: v for k, v in config.profile.ablations.variants.items() if k != "default"}
    table = tables.build_table(_with_variants(config, variants), 4)
    assert table.lines[-1].status == "not run"
    assert all(e.change is None for line in table.lines for e in line.entries)


@pytest.mark.parametrize("number", paper.TITLES)
def test_nothing_measured_yet(tmp_path: Path, number: int) -> None:
    table = tables.build_table(fake_config(tmp_path), number)
    assert {line.status for line in table.lines} <= {"not run", "reported"}
    assert len(table.lines) >= len(paper.load_published(number))


def test_results_of_different_test_lists_are_refused(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    expected = rows(config, "ablations")
    records = [fake_record(config, expected[key]) for key in ("default", "loss_cls")]
    cell = records[1]["cells"][0]
    cell["n_listed"], cell["groups"] = 50, None
    for repeat in cell["repeats"]:
        repeat["correct"], repeat["correct5"] = repeat["correct"][:50], repeat["correct5"][:50]
    results.write_results(config, "ablations", records)
    with pytest.raises(ResultsError, match=r"cannot pair .* run `dvc repro`"):
        tables.build_table(config, 4)


def test_csv_twin(config: Config, built: dict[int, Table]) -> None:
    for number, table in built.items():
        found = [x for x in csv.DictReader(io.StringIO(tables.to_csv(table))) if x["column"] != "gmacs_per_view"]
        assert len(found) == sum(len(block.lines) * len(block.columns) for block in table.blocks)
        assert {line["status"] for line in found} <= {"measured", "not run", "reported"}
        keys = [tuple(line[k] for k in ("block", "section", "row", "column")) for line in found]
        assert len(set(keys)) == len(keys), f"table {number}: a cell has two lines"
    line = next(x for x in csv.DictReader(io.StringIO(tables.to_csv(built[3]))) if x["run"] == "rates_2")
    entry = _line(built[3], "rates_2").entries[0]
    assert float(line["mean"]) == pytest.approx(entry.mean, abs=1e-4)
    assert float(line["ci95_low"]) == pytest.approx(entry.accuracy.interval[0], abs=1e-4)
    assert float(line["ci95_groups_low"]) == pytest.approx(entry.groups[0], abs=1e-4)
    assert (line["n_draws"], line["n_groups"]) == ("5", "40") and float(line["p"]) <= float(line["p_holm"]) < 0.05
    assert float(line["difference"]) == pytest.approx(entry.mean - _line(built[3], "default").entries[0].mean, abs=1e-4)
    assert (line["published"], line["verdict"], line["n_repeats"]) == ("94.8", "agrees", "5")
    assert line["column"] == "ucf101_k16_top1" and line["code_version"] == "0123456789ab"


def test_accuracy_within_pairs_stands_in_the_cells_of_datasets_that_have_them(built: dict[int, Table]) -> None:
    line = _line(built[2], "mean_pool")
    shown = {c.dataset for c, e in zip(built[2].blocks[0].columns, line.entries, strict=True) if e.within_pairs}
    assert shown == set(PAIRED) and built[2].has_pairs
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(built[2]))))
    told = {row["column"] for row in rows if row["run"] == "mean_pool" and row["within_pairs"]}
    assert told and all(column.startswith(PAIRED) for column in told)


def test_unknown_number(config: Config) -> None:
    with pytest.raises(ValueError, match="the paper has no table '7'"):
        tables.build_table(config, 7)


def test_few_shot_rows_on_another_backbone_stand_in_a_block_of_their_own(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    write_all(config)
    first, second, *_ = tables.build_table(config, 2).blocks
    assert second.title == "ViT-L/14" and "does not say which backbone" in second.note
    assert [line.run for line in second.lines] == [f"{m}-clip_l14" for m in config.profile.few_shot.more.methods]
    expected = rows(config, "few_shot")
    of = {line.run: expected[line.run].backbone for line in first.lines if line.run}
    assert of.pop("vidprism_m-videomae_b16") == of.pop("mean_pool-videomae_b16") == "videomae_b16"  # VideoMAEv2's row
    assert set(of.values()) == {"clip_b16"}
    prism = next(line for line in second.lines if line.run == "vidprism_c-clip_l14")
    assert prism.published[0].value == 55.0 and prism.published[0].difference is not None


@pytest.mark.parametrize("profile", ["smoke", "mini", "full", "paper", "rehearsal"])
def test_every_row_has_a_search(profile: str) -> None:
    """Of the row's own track, and of its own backbone where that encodes clips."""
    config = fake_config(Path(), profile)
    found = {paths.search(config, *which) for which in searched(config)}
    every = [row for group in GROUPS for row in rows(config, group).values() if not row.off]
    assert {paths.search(config, row.method, row.backbone, row.track) for row in every} <= found


PROBE = {"dataset": "ucf101", "trained": 28.4, "untrained": 19.4, "difference": 9.0, "ci95_low": 3.0, "ci95_high": 15.0}


@pytest.mark.parametrize("better", [True, False])
def test_an_encoder_whose_pretraining_did_not_help_is_marked(tmp_path: Path, better: bool) -> None:
    config = fake_config(tmp_path)
    write_all(config)
    records = list(results.load_results(config, "few_shot").values())
    for record in records:
        if record["backbone"]["name"] == "mini_videomae":
            record["backbone"]["probe"] = [{**PROBE, "better": True}, {**PROBE, "dataset": "ssv2", "better": better}]
    results.write_results(config, "few_shot", records)
    main, clips, _ = tables.build_table(config, 2).blocks
    prism = next(line for line in main.lines if line.labels == ("VidPrism-M",))
    assert prism.run == "vidprism_m-mini_videomae" and prism.published[0].value == 53.4
    assert [line.run for line in clips.lines] == [
        f"{m}-mini_videomae" for m in ("mean_pool", "temporal_transformer", "vidprism_m_released")
    ]
    assert {line.mark for line in (prism, *clips.lines)} == {"" if better else "†"}
    assert {line.mark for line in main.lines if line is not prism} == {""}
    assert "mini-UCF 28.4 against 19.4 (difference +9.0 [+3.0, +15.0])" in main.note
    assert ("helps by more than the interval on each" in main.note) == better
    assert ("† On mini-SSv2 its pre-training was not shown to help" in main.note) == (not better)


def test_an_encoder_that_is_switched_off_says_why(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    row = rows(config, "few_shot")["vidprism_m-videomae_b16"]
    record = evaluate.evaluate_row(config, row)
    assert record["status"] == "not run" and "few_shot.video.run" in record["reason"]
