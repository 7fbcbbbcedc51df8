"""Run pages: what was trained, what differs from the defaults, its curves, and everything behind its numbers."""

import html
import re
from pathlib import Path

import pytest

from tests.fake_results import REPO, fake_config, fake_record, write_all
from tests.report.page_reader import Page
from tools.repro_one import stage_of
from vidprism import report
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS, rows
from vidprism.evaluation import results
from vidprism.records import log
from vidprism.report import run_curves, run_pages

LOG = [(step, {"loss/total": 3.0 / step, "experts/expert_1": 0.5, "lr": 0.01}) for step in range(10, 3010, 10)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config)
    log.write_log(paths.live(config, "few_shot", "vidprism_c"), {"hmdb51_k2": LOG, "hmdb51_k16": LOG, "ucf101_k2": LOG})
    for group in GROUPS:
        report.write_runs(config, group)
    return config


def read(config: Config, group: str, key: str) -> str:
    return (paths.run_pages(config, group) / f"{key}.html").read_text(encoding="utf-8")


def test_every_row_says_how_it_is_measured_again(config: Config) -> None:
    """The command names a row that `make repro-one` knows, for every row of the profile."""
    from dvc.repo import Repo

    commands = {stage.addressing: stage.cmd for stage in Repo(REPO).index.stages}
    for group in GROUPS:
        for key in rows(config, group):
            found = re.search(r"<code>make repro-one ROW=([^<]+)</code>", read(config, group, key))[1]
            assert stage_of(commands, config.profile.name, html.unescape(found))


def test_what_differs_from_the_defaults(config: Config) -> None:
    records = results.load_results(config, "ablations")
    found = {
        name: (value, default)
        for name, value, default in run_pages.differences_from_defaults(config, records["rates_2"])
    }
    assert found["options.rates"] == ("[2]", "[2, 4, 8, 16]")
    assert [name for name in found if name.startswith("options.")] == ["options.rates"]
    default = dict.fromkeys(name for name, _, _ in run_pages.differences_from_defaults(config, records["default"]))
    assert [name for name in default if name.startswith("options.")] == []
    assert "<code>options.rates</code>" in read(config, "ablations", "rates_2")


def test_links_lead_to_the_rows_of_the_tables(config: Config) -> None:
    assert 'tables/mini/table2.html#p.vidprism_c">Table 2</a>' in read(config, "few_shot", "vidprism_c")
    default = read(config, "ablations", "default")
    assert all(f">{name}</a>" in default for name in ("Table 3", "Table 4", "Table 5", "Readings"))
    assert 'readings.html#p.to_act">Readings</a>' in read(config, "ablations", "to_act")
    assert ">Table" not in read(config, "ablations", "to_act").split("<main")[1].split("All results")[0]


def test_neighbours(config: Config) -> None:
    keys = list(rows(config, "few_shot"))
    first, last = read(config, "few_shot", keys[0]), read(config, "few_shot", keys[-1])
    assert "previous run" not in first and f'<a href="{keys[1]}.html">' in first
    assert "next run" not in last and f'<a href="{keys[-2]}.html">' in last


def test_curves_have_a_hue_for_each_dataset_and_a_lightness_for_each_k(config: Config) -> None:
    css = run_curves.series_css(["hmdb51_k2", "hmdb51_k16", "ucf101_k2", "ucf101_k16 repeat 0"], ["ucf101", "hmdb51"])
    assert css == {"hmdb51_k2": "d1 k0", "hmdb51_k16": "d1 k3", "ucf101_k2": "d0 k0", "ucf101_k16 repeat 0": "d0 k3"}
    assert len(set(run_curves.series_css(["a", "b"], ["a", "b"]).values())) == 2
    text = read(config, "few_shot", "vidprism_c")
    assert text.count("<polyline") == 3 * 3 and "Share of expert 1" in text and "update</text>" in text
    assert len(text) < 250_000
    assert "no curves" in read(config, "few_shot", "clip_zeroshot")


def test_a_thinned_line_keeps_ends_and_extremes() -> None:
    points = [(i, (i * 7919) % 1009 / 7) for i in range(5000)]
    kept = run_curves.thinned(points)
    assert len(kept) <= run_curves.MOST_POINTS and kept == sorted(kept)
    assert kept[0] == points[0] and kept[-1] == points[-1]
    assert {max(points, key=lambda p: p[1])[1], min(points, key=lambda p: p[1])[1]} <= {y for _, y in kept}
    assert run_curves.thinned(points[:100]) == points[:100]


def test_everything_behind_a_number_is_on_its_page(config: Config) -> None:
    text = read(config, "few_shot", "vidprism_c")
    found = Page(text)
    for cell in rows(config, "few_shot")["vidprism_c"].cells:
        assert f"p.vidprism_c.{cell[0]}_k{cell[1]}" in found.ids
    for fact in ("reading=paper", "best of 2 trials on dev", "version 0123456789ab", "119 of 120 listed test videos"):
        assert fact in text
    assert "<code>reports/timings/mini/train-few_shot-vidprism_c.json</code>" in text
    assert not [link for link in found.links if "timings" in link], "git does not hold this folder"


def test_what_was_left_out(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    record = fake_record(config, rows(config, "few_shot")["mean_pool"])
    first = record["cells"][0]["repeats"]
    first[0]["failed_videos"] = [
        {"path": "<b>.avi", "reason": "decoder crashed"},
        {"path": "b.avi", "reason": "cut off"},
    ]
    first[1]["skipped_updates"] = [["c.avi", "d.avi"]]
    results.write_results(config, "few_shot", [record])
    (page,) = report.write_runs(config, "few_shot")
    text = "".join(Page(page.read_text(encoding="utf-8")).text)
    assert "<b>.avi: decoder crashed; b.avi: cut off" in text and "repeat 1: c.avi, d.avi" in text
    assert "left nothing out" not in text
