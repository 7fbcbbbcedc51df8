"""Run pages: what was trained, what differs from the defaults, its curves, and everything behind its numbers."""

import html
import math
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from tests.fake_results import REPO, fake_config, fake_record, write_all
from tests.report.page_reader import Page
from vidprism import report
from vidprism.config import Config, ConfigError, paths
from vidprism.config.rows import GROUPS, rows
from vidprism.evaluation import results
from vidprism.model.readings import differences
from vidprism.records import log
from vidprism.report import run_curves, run_pages, stages
from vidprism.report.render import TEMPLATES

pytestmark = pytest.mark.slow  # builds all pages of mini

LOG = [(step, {"loss/total": 3.0 / step, "experts/expert_1": 0.5, "lr": 0.01}) for step in range(10, 3010, 10)]

TERMS = (
    "loss/total",
    "loss/cls",
    "loss/rank",
    "loss/div",
    "loss/gate",
    "accuracy",
    "lr",
    "clips_per_sec",
    "memory_mib",
)
LONG = [
    (step, {name: 1 / step + i for i, name in enumerate([*TERMS, *(f"experts/expert_{e}" for e in range(1, 5))])})
    for step in range(10, 5010, 10)
]
HEADINGS = {"ucf101": "mini-UCF", "hmdb51": "mini-HMDB"}


def cells(*names: tuple[str, int | None]) -> list[dict]:
    return [{"dataset": dataset, "shots": shots} for dataset, shots in names]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    shutil.copytree(REPO / "pipelines", config.root_dir / "pipelines")
    shutil.copy(REPO / "params.yaml", config.root_dir)
    write_all(config)
    log.write_log(paths.live(config, "few_shot", "vidprism_c"), {"hmdb51_k2": LOG, "hmdb51_k16": LOG, "ucf101_k2": LOG})
    log.write_log(paths.live(config, "few_shot", "vidprism_c-tuned"), {f"hmdb51_k4 repeat {i}": LOG for i in range(5)})
    cells = [f"{dataset}_k{shots}" for dataset in ("hmdb51", "ucf101", "ssv2") for shots in (2, 4, 8, 16)]
    log.write_log(paths.live(config, "few_shot", "mean_pool"), dict.fromkeys(cells, LONG))
    for group in GROUPS:
        report.write_runs(config, group)
    for name in config.profile.tables:
        report.write_table(config, name)
    report.write_readings(config)
    return config


def read(config: Config, group: str, key: str) -> str:
    return (paths.run_pages(config, group) / f"{key}.html").read_text(encoding="utf-8")


@cache
def ids(page: Path) -> frozenset[str]:
    return frozenset(Page(page.read_text(encoding="utf-8")).ids)


def test_every_row_says_how_it_is_measured_again(config: Config) -> None:
    """The command names a stage that DVC knows, and that stage trains the row, for every row of the profile."""
    from dvc.repo import Repo

    commands = {stage.addressing: stage.cmd for stage in Repo(REPO).index.stages}
    for group in GROUPS:
        for key in rows(config, group):
            text = html.unescape(read(config, group, key))
            stage = re.search(r"<code>dvc repro (pipelines[^<]+)</code>", text)[1]
            assert commands[stage].endswith(f" train profile=mini group={group} row={key}")
            assert f"<code>make repro-one ROW={group}/{key}</code>" in text


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper", "rehearsal"])
def test_every_row_that_is_trained_has_a_stage(profile: str) -> None:
    """In any profile, whichever of them params.yaml chooses."""
    config = fake_config(REPO, profile)
    trained = {f"{group}/{key}" for group in GROUPS for key, row in rows(config, group).items() if not row.off}
    found = stages.training_stages(REPO, profile)
    assert found.keys() == trained
    assert stages.training_stage(found, profile, "few_shot/vidprism_c").endswith(f"@{profile}-vidprism_c")
    with pytest.raises(ConfigError, match="did you mean 'few_shot/vidprism_c'"):
        stages.training_stage(found, profile, "few_shot/vidprismc")


def test_results_without_the_pipelines_name_no_command(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    results.write_results(config, "few_shot", [fake_record(config, rows(config, "few_shot")["mean_pool"])])
    (page,) = report.write_runs(config, "few_shot")
    assert "no command for it is known" in page.read_text() and "Measure this row again" not in page.read_text()


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


def differing(config: Config, group: str, key: str, **train: object) -> dict[str, tuple[str, str]]:
    record = fake_record(config, rows(config, group)[key])
    record["config"]["train"] |= train
    found = {name: (value, default) for name, value, default in run_pages.differences_from_defaults(config, record)}
    assert found.pop("train.lr")[1] == "found by the search"
    return found


def test_the_released_reading_differs_from_the_papers(config: Config) -> None:
    """As a variant, and as a method of its own."""
    variant = differing(config, "ablations", "released")
    assert variant["options.reading"] == ("released", "paper") and variant["options.act"] == ("quickgelu", "gelu")
    assert variant["options.shared_conv"] == ("true", "false"), "as params.yaml spells it"
    assert len(variant) == 1 + len(differences())
    method = differing(config, "few_shot", "vidprism_c_released")
    assert {name: found for name, found in method.items() if name in variant} == variant


def test_options_that_params_yaml_gives_a_method_do_not_differ(config: Config) -> None:
    assert differing(config, "few_shot", "temporal_transformer") == {}
    record = fake_record(config, rows(config, "few_shot")["temporal_transformer"])
    record["config"]["options"]["layers"] = 3
    assert ("options.layers", "3", "1") in run_pages.differences_from_defaults(config, record)


def test_encoder_frames_and_track_differ_from_those_of_the_group(config: Config) -> None:
    video = {"encoder": ("mini_videomae", "mini_clip"), "frames": ("16", "32")}
    assert differing(config, "few_shot", "mean_pool-mini_videomae") == video
    tuned = differing(config, "few_shot", "mean_pool-tuned", precision="fp32", blocks=[])
    assert tuned["track"] == ("tuned", "frozen") and tuned["frames"] == ("8", "32")
    assert tuned["train.updates"] == ("150", "300") and tuned["train.precision"] == ("fp32", "auto")
    assert "train.blocks" not in tuned
    assert differing(config, "closed_set", "mean_pool-mini_clip-8f") == {"train.updates": ("800", "300")}


def test_a_regression_differs_in_its_updates_and_its_penalty(config: Config) -> None:
    record = fake_record(config, rows(config, "few_shot")["regression_frames"])
    found = [*run_pages.differences_from_defaults(config, record)]
    assert found == [("train.inverse_penalty", "0.001", "found by the search"), ("train.updates", "0", "300")]


def test_rates_that_fit_a_short_clip_do_not_differ(config: Config) -> None:
    assert "options.rates" not in differing(config, "closed_set", "vidprism_c-mini_clip-8f")
    assert "options.rates" not in differing(config, "few_shot", "vidprism_m-mini_videomae")


def test_links_lead_to_the_rows_of_the_tables(config: Config) -> None:
    label = 'aria-label="{0}, the row of this run">{0}</a>'
    link = f'tables/mini/table2.html#p.vidprism_c" {label.format("Table 2")}'
    assert link in read(config, "few_shot", "vidprism_c")
    default = read(config, "ablations", "default")
    assert all(f">{name}</a>" in default for name in ("Table 3", "Table 4", "Table 5", "Readings"))
    assert f'readings.html#p.to_act" {label.format("Readings")}' in read(config, "ablations", "to_act")
    assert ">Table" not in read(config, "ablations", "to_act").split("<main")[1].split("All results")[0]


def test_every_link_to_a_table_leads_to_the_row(config: Config) -> None:
    for group in GROUPS:
        for page in paths.run_pages(config, group).glob("*.html"):
            found = [link.partition("#") for link in Page(page.read_text(encoding="utf-8")).links if "tables/" in link]
            assert [anchor for _, _, anchor in found if anchor] or page.stem == "default"
            for file, _, anchor in found:
                assert not anchor or anchor in ids((page.parent / file).resolve()), f"{page.stem}: {file}#{anchor}"


def test_every_change_of_the_readings_leads_to_its_run(config: Config) -> None:
    page = paths.tables(config) / "readings.html"
    found = [link.partition("#") for link in Page(page.read_text(encoding="utf-8")).links if "/runs/" in link]
    assert len(found) > 40
    for file, _, anchor in found:
        assert anchor in ids((page.parent / file).resolve()), f"{file}#{anchor}"


def test_neighbours(config: Config) -> None:
    keys = list(rows(config, "few_shot"))
    first, last = read(config, "few_shot", keys[0]), read(config, "few_shot", keys[-1])
    assert "previous run" not in first and f'<a href="{keys[1]}.html">' in first
    assert "next run" not in last and f'<a href="{keys[-2]}.html">' in last


def test_curves_have_a_hue_for_each_dataset_and_a_lightness_for_each_k(config: Config) -> None:
    known = cells(("hmdb51", 2), ("hmdb51", 16), ("ucf101", 2))
    found = run_curves.curves_of(["hmdb51_k2", "hmdb51_k16", "ucf101_k2"], known, HEADINGS)
    assert [c.css for c in found] == ["d1 k0", "d1 k4", "d0 k0"]
    assert [c.name for c in found] == ["mini-HMDB, K=2", "mini-HMDB, K=16", "mini-UCF, K=2"]
    text = read(config, "few_shot", "vidprism_c")
    assert text.count("<polyline") == 3 * 3 and "Share of expert 1" in text and "update</text>" in text
    assert "no curves" in read(config, "few_shot", "clip_zeroshot")


def test_repeats_differ_in_lightness_where_k_does_not(config: Config) -> None:
    names = [f"hmdb51_k4 repeat {i}" for i in range(5)]
    found = run_curves.curves_of(names, cells(("hmdb51", 4)), HEADINGS)
    assert [c.css for c in found] == [f"d1 k{i}" for i in range(5)]
    assert len(set(re.findall(r'<g class="(d\d k\d)">', read(config, "few_shot", "vidprism_c-tuned")))) == 5
    several = [f"hmdb51_k{k} repeat {i}" for k in (2, 4) for i in range(5)]
    found = run_curves.curves_of(several, cells(("hmdb51", 2), ("hmdb51", 4)), HEADINGS)
    assert {c.name: c.css for c in found} == {"mini-HMDB, K=2": "d1 k0", "mini-HMDB, K=4": "d1 k4"}


def test_a_chart_of_many_lines_is_one_for_each_dataset() -> None:
    names = [f"{dataset}_k{k}" for dataset in HEADINGS for k in (1, 2, 4, 8, 16, 32, 64)]
    log = {"loss/total": {name: [(10, 1.0), (20, 0.5)] for name in names}}
    known = cells(*((dataset, k) for dataset in HEADINGS for k in (1, 2, 4, 8, 16, 32, 64)))
    plots, _ = run_curves.draw_log(log, known, HEADINGS)
    assert [plot.title for plot in plots] == ["Objective, mini-UCF", "Objective, mini-HMDB"]
    assert {len(plot.series) for plot in plots} == {7}
    plots, _ = run_curves.draw_log(log, known[:7], {"ucf101": "mini-UCF"})
    assert sum(len(plot.series) for plot in plots) == 14, "a series without a cell in the results is drawn too"


def test_long_logs_make_no_large_page(config: Config) -> None:
    text = read(config, "few_shot", "mean_pool")
    assert text.count("<polyline") == 12 * 13 and len(text.encode()) < 250_000


@pytest.mark.parametrize("dark", [False, True])
def test_lines_have_enough_contrast_with_the_page(dark: bool) -> None:
    """At least 3:1, which WCAG 2.2 requires of graphics (1.4.11), for each hue and lightness."""
    css = (TEMPLATES / "run.css").read_text(encoding="utf-8")
    by_scheme = css.split("@media")[1 if dark else 0]
    light = [float(x) for x in re.findall(r"--light: ([\d.]+)", by_scheme)]
    hues = [float(x) for x in re.findall(r"--hue: (\d+)", css)]
    chroma = float(re.search(r"oklch\(var\(--light\) ([\d.]+)", css)[1])
    page = re.findall(r"--paper: #(\w+)", (TEMPLATES / "style.css").read_text(encoding="utf-8"))[dark]
    ground = luminance([int(c, 16) / 255 for c in re.findall("..", page if len(page) == 6 else page * 2)])
    assert len(light) == run_curves.STEPS and len(hues) == run_curves.HUES
    for hue in hues:
        for lightness in light:
            low, high = sorted((ground, oklch_luminance(lightness, chroma, hue)))
            assert (high + 0.05) / (low + 0.05) >= 3, (hue, lightness)


def luminance(srgb: list[float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in srgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def oklch_luminance(lightness: float, chroma: float, hue: float) -> float:
    """Relative luminance of an oklch colour (Ottosson's matrices), with as much of its chroma as sRGB can show."""
    a, b = math.cos(math.radians(hue)), math.sin(math.radians(hue))
    while True:
        l_, m, s = (
            (lightness + chroma * (p * a + q * b)) ** 3
            for p, q in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
        )
        red = 4.0767416621 * l_ - 3.3077115913 * m + 0.2309699292 * s
        green = -1.2684380046 * l_ + 2.6097574011 * m - 0.3413193965 * s
        blue = -0.0041960863 * l_ - 0.7034186147 * m + 1.7076147010 * s
        if all(-1e-4 <= x <= 1.0001 for x in (red, green, blue)):
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue
        chroma -= 0.002


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
