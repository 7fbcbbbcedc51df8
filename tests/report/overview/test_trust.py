"""The page "Data and trust": what the numbers rest on, and what may be wrong with them."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from tests.fake_results import fake_config, fake_record, fake_search, write_all
from tests.report.page_reader import Page
from vidprism import report
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.report.overview import trust

pytestmark = pytest.mark.slow  # builds all pages of mini

READERS = {"packets": 3, "start to end": 21}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config)
    report.write_index(config)
    return config


def _read(config: Config) -> str:
    return (paths.overview(config) / "trust.html").read_text(encoding="utf-8")


def _written(config: Config) -> str:
    report.write_index(config)
    return _read(config)


def test_the_page_shows_data_search_and_gaps(config: Config) -> None:
    text = _read(config)
    assert "43 of 43 rows" in text and "119" in text
    assert "c/&lt;b&gt;&amp;&#39;bad&#34;.avi: truncated &lt;file&gt;" in text
    assert "every row that the profile asks for is measured" in text


def test_it_shows_what_a_search_found(config: Config) -> None:
    text = _read(config)
    row = text[text.index('row">mean_pool</th>') :]
    assert '<td>frozen</td><td class="label">learning rate; added 0.0003</td><td>3</td><td>40</td><td>2</td>' in row
    assert '<span class="trial">0.0003: 61.2 <span class="pm">± 2.1</span> ≈</span>' in row
    assert '<span class="trial best">0.001: 63.0 <span class="pm">± 2.3</span></span>' in row
    assert text.count('<td class="label">inverse penalty c; added 0.0003</td>') == 3, "the regressions"
    assert text.count("<td>tuned</td>") == 3, "rows of the tuned track have searches of their own"
    assert "at the edge of the range</td>" not in text and "Searched over" not in text


def test_a_search_at_the_edge_or_of_few_draws_is_said(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    path = paths.search(config, "mean_pool", "mini_clip")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**fake_search(), "at_edge": True, "draws": 2}))
    text = _written(config)
    assert "; at the edge of the range</td>" in text and "Searched over 2 of 3 draws" in text


def test_a_search_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    path = paths.search(config, "mean_pool", "mini_clip")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"space": "lr", "split": "dev", "chosen": 0.1, "trials": {"0.1": 1.0}}))
    with pytest.raises(results.ResultsError, match=r"mean_pool.json was written by an earlier version .*run dvc repro"):
        report.write_index(config)


def test_the_note_of_a_profile_is_shown(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    noted = dataclasses.replace(config, profile=dataclasses.replace(config.profile, note="Read <this> first."))
    assert "<p>Read &lt;this&gt; first.</p>" in _written(noted)
    silent = dataclasses.replace(config, profile=dataclasses.replace(config.profile, note=""))
    assert "<p></p>" not in _written(silent)


def test_it_shows_world_facts_and_gaps(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    expected = rows(config, "few_shot")
    record = fake_record(config, expected["mean_pool"])
    record["cells"][0]["repeats"][0]["loss_flat"] = False
    results.write_results(config, "few_shot", [record])
    guess = {"top1": 51.0, "ci95_low": 44.0, "ci95_high": 58.0, "n": 200, "guesses": True}
    known = {
        "top1": 64.25,
        "ci95_low": 58.1,
        "ci95_high": 70.2,
        "n": 300,
        "chance": 10.0,
        "times_chance": 6.43,
    }
    told = {**guess, "top1": 80.0, "guesses": False}
    pair = {
        "dataset": "ssv2",
        "classes": ["Moving left", "Moving right"],
        "zero_shot": guess,
        "mean_pool": guess,
    }
    facts = {
        "pretraining": {"steps": 900, "loss": {"0": 4.1}},
        "zero_shot": {"ucf101": known, "ssv2": known},
        "all_pairs": {"ucf101": {}, "ssv2": {"zero_shot": guess, "mean_pool": told}},
        "tellable_from_stills": {"ucf101": ["A<b>"], "ssv2": []},
        "pairs": [pair],
    }
    paths.results(config, "world").write_text(json.dumps(facts))
    text = _written(config)
    assert "64.2" in text and "<td>6.4</td>" in text and "A&lt;b&gt;" in text
    assert "Moving left / Moving right" in text and text.count("does not guess") == 1 and "no pairs" in text
    assert "Bonferroni" in text and "Below 50 % is not telling either" in text and "too narrow there" in text
    assert "VidPrism-C on frozen features (mini_clip, 32 frames) (<code>vidprism_c</code>): no result yet" in text
    assert "few_shot: mean_pool</code>): 1 of 60 repeats" in text
    assert "some repeats of 1 rows" in text


def test_broken_world_facts_are_named(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    target = paths.results(config, "world")
    target.parent.mkdir(parents=True)
    for text in ("{", "{}", '{"zero_shot": {"ucf101": {}}}'):
        target.write_text(text)
        with pytest.raises(results.ResultsError, match=r"world\.json"):
            report.write_index(config)


def test_what_is_odd_in_lists_and_copy_is_shown_and_nothing_else(tmp_path: Path, config: Config) -> None:
    assert not any(account.oddities for account in trust.build_trust(config).accounts)
    config = fake_config(tmp_path)
    write_all(config)
    records = [fake_record(config, row) for row in rows(config, "closed_set").values()]
    for record in records:
        record["cells"][0]["checks"] = {
            "copy": "CVDF",
            "unlisted_files": 3,
            "conflicting_labels": 2,
            "readers": READERS,
        }
    results.write_results(config, "closed_set", records)
    report.write_index(config)
    text = " ".join(Page(_read(config)).text)
    found = "mini-K400: a known copy by its counts: CVDF; video files that no list names: 3; videos with two labels: 2"
    assert f"{found}; videos by the way they are read: packets 3, start to end 21" in text
    assert "listed more than once" not in text and "mini-UCF: " not in text


def test_doubts_follow_from_the_results(config: Config, tmp_path: Path) -> None:
    text = " ".join(Page(_read(config)).text)
    assert "Each accuracy rests on 119 to 119 test videos in 40 to 119 groups" in text
    assert "0 of 19 searches end at the edge of the values" in text and "In 19 of 19, other values" in text
    assert "Uncommitted code" not in text and "Short training" not in text and "all of it committed" in text
    assert "listed test videos could not be read and are not scored" in text
    other = fake_config(tmp_path)
    record = fake_record(other, rows(other, "few_shot")["mean_pool"])
    record["code"] = {"version": "0", "base_commit": "1234567", "dirty": True}
    results.write_results(other, "few_shot", [record])
    changed = _written(other)
    assert "code that was not committed" in changed and "with uncommitted changes" in changed


def test_a_selection_on_the_test_set_would_be_said(tmp_path: Path) -> None:
    config = fake_config(tmp_path)
    record = fake_record(config, rows(config, "few_shot")["mean_pool"])
    record["search"]["split"] = "test"
    results.write_results(config, "few_shot", [record])
    assert "never used for selection" not in _written(config) and "Searches were scored on test" in _written(config)


def test_every_run_page_is_linked_by_a_readable_name(config: Config) -> None:
    text = _read(config)
    assert text.count('href="../../runs/mini/') == 86
    assert (
        'few_shot/vidprism_c.html" aria-label="VidPrism-C on frozen features (mini_clip, 32 frames), Few shots"' in text
    )


def test_every_table_has_a_caption_and_every_heading_a_scope(config: Config) -> None:
    for path in sorted(paths.overview(config).glob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert text.count("<table") == text.count("<caption>"), path.name
        assert text.count("<th ") == text.count('scope="'), path.name
        levels = [int(tag[1]) for tag in Page(text).tags if tag in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels)), path.name
