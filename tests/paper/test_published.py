"""The published numbers against a second transcription of some rows, typed independently of the CSVs, and
for completeness.
"""

import pytest

from vidprism import paper
from vidprism.config import load_config
from vidprism.config.rows import rows
from vidprism.model.readings import PRESETS

N_ROWS = {1: 28, 2: 14, 3: 14, 4: 4, 5: 13}
N_COLUMNS = {1: 3, 2: 12, 3: 2, 4: 2, 5: 2}

TABLE_1 = """ST-Adapter-B/16 32 1 3 82.7 96.2 607
ActionCLIP-B/16 32 10 3 83.8 96.2 563
Vita-CLIP-B/16 16 4 3 82.9 96.3 190
ETL-ViCLIP-B/16 8 4 3 82.2 96.2 -
Ost-B/16 16 1 1 83.2 - -
VidPrism-B/16 8 4 3 84.0 96.8 162
VidPrism-B/16 32 4 3 85.1 97.0 721
DUALPATH-L/14 32 1 3 87.7 97.8 -
FocusVideo-L/14 32 4 3 88.0 97.9 3656
Text4Vis-L/14 32 4 3 87.1 97.4 1662
MoTE-L/14 16 4 3 87.2 97.7 1299
VidPrism-L/14 8 4 3 87.4 97.8 632
VidPrism-L/14 32 4 3 88.6 97.9 2594"""

TABLE_2 = """Zero-shot CLIP 37.2 37.2 37.2 37.2 62.8 62.8 62.8 62.8 2.8 2.8 2.8 2.8
Adapting A5 39.7 50.7 56.0 62.4 71.4 79.9 85.7 89.9 4.4 5.1 6.1 9.7
Adapting ActionCLIP 47.5 57.9 57.7 63.2 70.0 71.5 73.0 91.4 4.4 5.3 8.4 11.1
Adapting ETL 61.2 62.3 67.1 70.4 86.1 90.2 92.7 94.8 9.1 10.4 13.4 17.5
Tuning VideoMAEv2 38.6 52.3 63.2 72.2 73.4 86.8 92.1 94.7 5.0 8.6 12.2 17.1
Tuning MoTE 61.3 63.9 67.2 68.2 88.8 91.0 92.3 93.6 7.3 8.5 9.5 12.2
Tuning ViCLIP 53.7 60.4 64.5 70.3 83.0 88.0 92.1 93.2 8.7 9.7 11.6 15.4
Tuning VidPrism-C 55.0 64.1 67.6 74.1 88.1 91.6 93.8 96.0 4.9 7.3 9.3 14.1
Tuning VidPrism-M 53.4 63.3 68.3 73.2 94.3 95.6 95.9 96.6 6.4 9.5 13.6 18.3"""

ABLATIONS = {
    3: "rates_2 94.8 74.1, rates_8 94.5 74.2, rates_2_4 95.1 74.9, rates_4_8 95.2 73.7, rates_2_8 95.3 73.9, "
    "rates_4_16 95.2 74.5, rates_2_4_16 94.1 74.2, default 95.9 76.3",
    4: "loss_cls 94.5 75.1, loss_cls_rank 95.2 75.6, loss_cls_rank_div 95.4 75.5, default 95.9 76.3",
    5: "agg_hard 94.7 75.0, agg_max 95.2 75.5, int_none 95.3 74.2, int_fast2slow 95.0 74.9, "
    "comb_avg 94.8 75.6, comb_linear 94.5 73.9, comb_local 95.1 74.6, default 95.9 76.3",
}


def _number(text: str) -> float | None:
    return None if text == "-" else float(text)


@pytest.mark.parametrize("number", N_ROWS)
def test_complete(number: int) -> None:
    table = paper.load_published(number)
    assert len(table) == N_ROWS[number]
    assert {len(row.numbers) for row in table} == {N_COLUMNS[number]}
    assert all(row.bold <= row.numbers.keys() for row in table)
    dashes = sum(value is None for row in table for value in row.numbers.values())
    assert dashes == (5 if number == 1 else 0)


@pytest.mark.parametrize("text", TABLE_1.splitlines())
def test_table_1(text: str) -> None:
    method, frames, crops, clips, *numbers = text.split()
    found = [row for row in paper.load_published(1) if (row.name, row.labels["frames"]) == (method, frames)]
    assert len(found) == 1 and (found[0].labels["crops"], found[0].labels["clips"]) == (crops, clips)
    assert list(found[0].numbers.values()) == list(map(_number, numbers))


def test_table_1_sections() -> None:
    sections = [(row.labels["size"], row.labels["section"]) for row in paper.load_published(1)]
    expected = {
        ("B/16", "Adapting"): 12,
        ("B/16", "Tuning"): 4,
        ("L/14", "Adapting"): 7,
        ("L/14", "Tuning"): 5,
    }
    assert {section: sections.count(section) for section in sections} == expected
    assert all(row.name.endswith(row.labels["size"]) for row in paper.load_published(1))


@pytest.mark.parametrize("text", TABLE_2.splitlines())
def test_table_2(text: str) -> None:
    section, method, *numbers = text.split()
    found = [row for row in paper.load_published(2) if (row.labels["section"], row.name) == (section, method)]
    assert len(found) == 1
    assert list(found[0].numbers.values()) == list(map(float, numbers))
    assert list(found[0].numbers) == [f"{d}_k{k}" for d in ("hmdb51", "ucf101", "ssv2") for k in (2, 4, 8, 16)]


@pytest.mark.parametrize("number", ABLATIONS)
def test_ablations(number: int) -> None:
    variants = load_config("mini").profile.ablations.variants
    for run, ucf101, hmdb51 in map(str.split, ABLATIONS[number].split(", ")):
        found = {
            tuple(row.numbers[d] for d in ("ucf101", "hmdb51"))
            for row in paper.load_published(number)
            if row.options == variants[run]
        }
        assert found == {(float(ucf101), float(hmdb51))}, run


def test_runs_exist_in_both_profiles() -> None:
    """Every ablation that the paper prints is a variant of params.yaml, with the rates that the row prints."""
    for profile in ("mini", "paper"):
        config = load_config(profile)
        variants = rows(config, "ablations")
        for number in (3, 4, 5):
            for row in paper.load_published(number):
                (key,) = [k for k, changed in config.profile.ablations.variants.items() if changed == row.options]
                assert variants[key].method == row.run and variants[key].frames == int(row.labels["frames"])
                if number == 3 and key != "default":
                    assert row.options["rates"] == [int(rate) for rate in row.name.split(",")]


def test_choices_are_tagged_and_name_switches_that_there_are() -> None:
    found = paper.choices()
    assert {line["tag"] for line in found} <= {"stated", "open", "choice"}
    assert {line["switch"] for line in found} - {""} <= PRESETS["paper"].keys()
    assert all(line["choice"] and line["suite"] and line["ground"] for line in found)
    assert len({line["choice"] for line in found}) == len(found)


def test_methods_that_the_paper_tunes() -> None:
    vidprism = {"vidprism_c": "VidPrism-C", "vidprism_m": "VidPrism-M"}
    assert paper.tuned() == {"text4vis": "Text4Vis", "mote": "MoTE", "ost": "OST", "maxi": "MAXI", **vidprism}
    encoders = {row.name: row.encoder for row in paper.load_published(2) if row.run}
    assert encoders["ViCLIP"] == encoders["ETL"] == "viclip" and encoders["VideoMAEv2"] == "videomae"
    assert encoders["X-CLIP"] == encoders["VidPrism-C"] == "clip"


def test_unknown_table() -> None:
    assert paper.table_number("table3") == paper.table_number(3) == 3
    for wrong in (6, "table0", "tables", "table²"):
        with pytest.raises(ValueError, match="the paper has no table"):
            paper.load_published(wrong)
