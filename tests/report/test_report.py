"""Pages: self-contained, escaped, the same bytes each time, every link inside them resolved, no torch."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.fake_pages import write_fake_log, write_pages
from tests.fake_results import REPO, fake_config, fake_record, write_all
from tests.report.page_reader import Page
from vidprism import paper, report
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.model.readings import differences
from vidprism.report import tables
from vidprism.report.numbers import signed
from vidprism.report.render import has_only_its_script, losses, spans

RUNS = ["runs/mini/few_shot/vidprism_c.html", "runs/mini/few_shot/clip_zeroshot.html"]
OVERVIEW = [f"overview/mini/{name}.html" for name in ("index", "cells", "trust")]
PAGES = [*(f"tables/mini/table{n}.html" for n in paper.TITLES), "tables/mini/readings.html", *OVERVIEW, *RUNS]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config, {"to_act": 0.9, "rates_2": 0.3})
    write_fake_log(config)
    write_pages(config)
    return config


@cache
def _ids(path: Path) -> frozenset[str]:
    return frozenset(Page(path.read_text(encoding="utf-8")).ids)


def _read(config: Config, page: str) -> str:
    return (config.root_dir / "reports" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_self_contained(config: Config, page: str) -> None:
    text = _read(config, page)
    found = Page(text)
    assert "default-src 'none'" in text and has_only_its_script(text)
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(found.tags)
    assert found.tags.count("script") == 1
    assert not [name for name in found.attributes if name.startswith("on") or name == "style"]
    text = re.sub(r"<!DOCTYPE[^>]*>|url\(data:image/webp;base64,[A-Za-z0-9+/=]*\)", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(config: Config, page: str) -> None:
    here = config.root_dir / "reports" / page
    found = Page(_read(config, page))
    assert len(found.ids) == len(set(found.ids))
    for link in found.links:
        file, _, anchor = link.partition("#")
        target = (here.parent / file).resolve() if file else here
        assert target.is_file(), link
        assert not anchor or anchor in _ids(target), link


@pytest.mark.parametrize("page", PAGES)
def test_banner_and_version(config: Config, page: str) -> None:
    text = _read(config, page)
    assert "Generated data." in text and re.search(r"Report version <code>[0-9a-f]{12}</code>", text)


def test_provenance_of_every_measured_cell(config: Config) -> None:
    """Each measured number links to a panel that names configuration, seeds, data, counts, commit and
    environment.
    """
    text = _read(config, "tables/mini/table2.html")
    cells = re.findall(r'<button class="number" popovertarget="([^"]+)" aria-label="[^"]+">', text)
    n_cells = 12 * 12 + 4 * 12 + 3  # rows of twelve cells, and the tuned track
    assert len(set(cells)) == n_cells and set(cells) <= set(Page(text).ids)
    panel = text[text.index('id="p.vidprism_c.row"') : text.index('id="p.vidprism_c_released.row"')]
    assert "VidPrism-C on frozen features, mini-HMDB, K=2</h2>" in panel
    for fact in (
        "reading=paper",
        "best of 2 trials on dev",
        "standard error of the best 2.3; not distinguishable from 0.0003; 3 draws",
        "version 0123456789ab",
        "base commit abcdef123456",
        "python=3.11.7",
    ):
        assert fact in panel
    fitted = text[text.index('id="p.regression_halves.row"') : text.index('id="p.regression_moments.row"')]
    assert "inverse penalty c 0.001, best of 2 trials on dev" in fitted and "inverse_penalty=0.001" in fitted
    assert "; inverse penalty c from the search on the dev pool</dd>" in fitted
    assert "<dd>none: fitted on all training clips at once</dd>" in fitted
    for fact in (
        "119 of 120 listed test videos",
        "over 5 repeats that differ and 40 groups; over repeats only [",
        "sha256:cdcd",
        f"{config.profile.train.updates} of {config.profile.train.batch_size} clips",
    ):
        assert fact in panel


def test_the_trials_of_its_search_stand_beside_each_measured_row(config: Config) -> None:
    for number in range(1, 6):
        built, text = tables.build_table(config, number), _read(config, f"tables/mini/table{number}.html")
        measured = [line for line in built.lines if line.status == "measured"]
        assert measured and {line.n_trials for line in measured} == {2}
        shown = text.split('<table class="paper-only">')[0].count(">2 trials</span>")
        assert shown == (len(measured) if number != 2 else len([x for x in measured if x in built.blocks[0].lines]))


def test_table_words(config: Config) -> None:
    second = Page(_read(config, "tables/mini/table2.html"))
    words = " ".join(second.text)
    assert words.count("not run") >= 11 and "mini-HMDB" in words
    assert "reported" in " ".join(Page(_read(config, "tables/mini/table1.html")).text)
    assert "not in the paper" in words and "Tuned track" in words
    assert "<i>L</i><sub>rank</sub>" in _read(config, "tables/mini/table4.html")


def test_readings_page(config: Config) -> None:
    text = _read(config, "tables/mini/readings.html")
    for switch in differences():
        assert f"<code>{switch}</code>" in text
    for choice in (
        "lr.step_every",
        "aug.flip",
        "eval.fusion",
        "eval.index",
        "eval.select",
        "backbone.tune",
        "head.init",
    ):
        assert f"<code>{choice}</code>" in text
    line = text[text.index("<code>act</code>") : text.index("<code>readout_norm</code>")]
    assert "quickgelu" in line and line.count('class="m best"') == 2 and "#p.to_act.ucf101_k16" in line
    assert "All of them: the released preset" in text and "inferred" in text
    assert "5 draws; mini-UCF 40 groups of 119 videos; mini-HMDB 40 groups of 119 videos" in text
    assert text.count("Family (c) of the protocol") == 2 and "tests, Holm at 5%" in text
    assert "no variant" not in text


def test_readings_page_lists_what_no_switch_turns(config: Config) -> None:
    text = _read(config, "tables/mini/readings.html")
    words = " ".join(Page(text).text)
    for line in paper.choices():
        assert line["choice"] in words and line["ground"] in words
    for choice in ("T-Conv", "half-pixel", "LocalAttn", "mean over heads", "kept and rest are swapped"):
        assert choice in words
    for name in ("optim.decay", "aug.crop", "aug.grey"):
        assert f"<code>{name}</code>" in text


def test_every_page_says_that_the_features_were_frozen(config: Config) -> None:
    for page in [*PAGES[:-1], *[f"runs/mini/ablations/{key}.html" for key in ("default", "rates_2")]]:
        assert "on frozen features" in _read(config, page), page
    tuned = _read(config, "runs/mini/few_shot/vidprism_c-tuned.html")
    assert "on frozen features" not in tuned and "Run vidprism_c-tuned: VidPrism-C" in tuned
    assert "on frozen features" not in _read(config, PAGES[-1]), "zero-shot is not tuned by the paper either"
    for number in paper.TITLES:
        assert "published, whole model tuned" in _read(config, f"tables/mini/table{number}.html").lower()


def test_a_tuned_profile_has_no_frozen_features(tmp_path: Path) -> None:
    config = fake_config(tmp_path, "paper")
    write_all(config)
    for number in paper.TITLES:
        text = report.write_table(config, number).read_text(encoding="utf-8")
        assert "on frozen features" not in text and "VidPrism-C tuned as a whole" in text


def test_order_blind_rows_are_marked_and_counted_in_words(config: Config) -> None:
    note = "‡ Order-blind: "
    marked = {number: _read(config, f"tables/mini/table{number}.html") for number in paper.TITLES}
    assert [number for number, text in marked.items() if note in text] == [3, 5]
    assert [marked[3].count("‡"), marked[5].count("‡")] == [4 + 1 + 1, 2 + 1]  # rows, note, and what is said of them
    assert "Every effect on this page that agrees with the paper (2) comes from a row marked ‡" in marked[3]
    assert "that agrees with the paper" not in marked[5], "none of them does here"


def test_panels_say_where_the_learning_rate_comes_from(config: Config) -> None:
    assert "; learning rate found for the default row" in _read(config, "tables/mini/table3.html")
    second = _read(config, "tables/mini/table2.html")
    assert "; learning rate from the search on the dev pool, on the tuned track</dd>" in second
    assert "; learning rate from the search on the dev pool</dd>" in second
    first = _read(config, "tables/mini/table1.html")
    assert "mini-K400, training list without the dev pool</h2>" in first and "whole training list" not in first


def test_same_inputs_same_bytes(config: Config) -> None:
    pages = [PAGES[3], *PAGES[5:]]
    before = {page: _read(config, page) for page in pages}
    report.write_table(config, 4)
    report.write_readings(config)
    report.write_index(config)
    assert {page: _read(config, page) for page in pages} == before


def test_version_follows_the_results(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    files = [paths.results(config, "ablations"), paper.table_path(4)]
    empty = report.report_version(config, files)
    results.write_results(config, "ablations", [fake_record(config, rows(config, "ablations")["default"])])
    assert report.report_version(config, files) != empty
    assert report.report_version(config, files) == report.report_version(config, files)


def test_version_does_not_follow_the_note(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    other = replace(config, profile=replace(config.profile, note="took an hour"))
    assert report.report_version(config, []) == report.report_version(other, [])
    changed = replace(config, profile=replace(config.profile, train=replace(config.profile.train, updates=7)))
    assert report.report_version(config, []) != report.report_version(changed, [])


HOSTILE = "<script>alert('x')</script>\"><img src=x>"


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    expected = rows(config, "few_shot")
    record = fake_record(config, expected["mean_pool"])
    record["label"] = HOSTILE
    record["environment"]["cpu"] = record["search"]["space"] = record["code"]["version"] = HOSTILE
    for cell in record["cells"]:
        cell["unreadable"] = [{"path": HOSTILE, "reason": HOSTILE}] * 30
        cell["data_fingerprint"] = HOSTILE
    results.write_results(config, "few_shot", [record])
    for path in (report.write_table(config, 2), *report.write_index(config)):
        found = Page(path.read_text(encoding="utf-8"))
        assert found.tags.count("script") == 1 and "img" not in found.tags
        assert "alert('x')" in "".join(found.text) or path.name == "cells.html", "nothing can be compared here"
    assert "and 10 more" in (paths.tables(config) / "table2.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_pages_before_any_run(tmp_path: Path, profile: str) -> None:
    config = fake_config(tmp_path, profile)
    for name in config.profile.tables:
        assert "not run" in report.write_table(config, name).read_text(encoding="utf-8")
    assert "not run" in report.write_readings(config).read_text(encoding="utf-8") or profile == "smoke"
    for page in report.write_index(config):
        assert ("Generated data." in page.read_text(encoding="utf-8")) == (profile != "paper")
    assert "It cannot be said yet" in (paths.overview(config) / "index.html").read_text(encoding="utf-8")


def test_filters() -> None:
    assert [signed(x) for x in (1.25, -0.34, 0.04, -0.04)] == ["+1.2", "−0.3", "0.0", "0.0"]
    assert str(losses("L_cls + <b>")) == "<i>L</i><sub>cls</sub> + &lt;b&gt;"
    assert spans(["a", "a", "b"]) == [("a", 2), ("b", 1)]


@pytest.mark.slow
def test_all_pages_without_torch(config: Config, tmp_path: Path) -> None:
    """A table, the readings and the index are rebuilt from JSON in a process that never loads torch."""
    shutil.copytree(config.root_dir / "reports", tmp_path / "reports")
    program = (
        "import sys, pathlib; from tests.fake_results import fake_config; from vidprism import report;"
        "config = fake_config(pathlib.Path(sys.argv[1]));"
        "report.write_table(config, 4); report.write_readings(config); report.write_index(config);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "torch was imported"
    for page in OVERVIEW:
        assert (tmp_path / "reports" / page).read_bytes() == (config.root_dir / "reports" / page).read_bytes()


def test_the_version_covers_the_code_that_makes_pages() -> None:
    covered = {file for name in report.CODE for file in report.code_files(report.PACKAGE / name)}
    names = {file.relative_to(report.PACKAGE).as_posix() for file in covered}
    assert {"report/templates/table.html.j2", "report/tables/cells.py", "evaluation/stats.py"} <= names
    with pytest.raises(FileNotFoundError, match="no code of the report"):
        report.code_files(report.PACKAGE / "tables")
