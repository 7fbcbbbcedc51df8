"""The page of all profiles: published ones with results, and the same bytes whichever profile writes it."""

from dataclasses import replace
from pathlib import Path

from tests.fake_results import fake_config, write_all
from tests.report.page_reader import Page
from vidprism import report
from vidprism.config import paths


def test_it_lists_published_profiles_with_results_only(tmp_path: Path) -> None:
    mini, smoke = (replace(fake_config(tmp_path, name), published=("mini", "paper")) for name in ("mini", "smoke"))
    write_all(smoke)
    assert "No profile has results yet" in report.write_front(smoke).read_text(encoding="utf-8")
    write_all(mini)
    report.write_index(mini)
    page = report.write_front(mini)
    found = Page(page.read_text(encoding="utf-8"))
    overviews = [link for link in found.links if link and link.startswith("overview/")]
    assert overviews == ["overview/mini/index.html"] and (page.parent / overviews[0]).is_file()
    assert "86 rows and 305 cells measured on mini-HMDB, mini-K400, mini-SSv2, mini-UCF" in " ".join(found.text)


def test_every_profile_writes_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("mini", "smoke", "paper"):
        config = replace(fake_config(tmp_path, name), published=("mini", "paper"))
        if name != "paper":
            write_all(config)
        written.append(report.write_front(config).read_bytes())
    assert written[0] == written[1] == written[2]
    assert paths.front(config) == tmp_path / "reports" / "index.html"


def test_an_unmeasured_profile_has_no_card(tmp_path: Path) -> None:
    config = replace(fake_config(tmp_path), published=("mini",))
    write_all(config)
    for group in ("few_shot", "closed_set", "ablations"):
        paths.results(config, group).write_text('{"records": []}', encoding="utf-8")
    assert "No profile has results yet" in report.write_front(config).read_text(encoding="utf-8")
