"""The index: its numbers equal a slow recomputation from the files, and a new method needs no edit."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tests.fake_results import fake_config, fake_record, write_all
from tests.report.page_reader import Page
from vidprism import report
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results, stats
from vidprism.report.colours import method_colours
from vidprism.report.overview.contests import find_contests
from vidprism.report.overview.leaderboard import leaderboard

pytestmark = pytest.mark.slow  # builds all pages of mini

ACCURACY = {"mean_pool": 0.35, "clip_zeroshot": 0.85, "vidprism_c": 0.62, "vidprism_m-mini_videomae": 0.7}
CONTROLS = ["clip_zeroshot", "mean_pool", "text_linear", "regression_halves", "regression_moments", "regression_frames"]
CONTROLS += ["attentive_probe", "temporal_transformer", "temporal_conv", "gru"]
CARD = re.compile(r'<li class="card score">.*?</li>', re.DOTALL)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = fake_config(tmp_path_factory.mktemp("mini"))
    write_all(config, ACCURACY)
    report.write_index(config)
    return config


def _text(config: Config, page: str = "index") -> str:
    return (paths.overview(config) / f"{page}.html").read_text(encoding="utf-8")


def _words(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def _cards(config: Config) -> list[str]:
    return [_words(card) for card in CARD.findall(_text(config))]


def _cells(config: Config, group: str, key: str) -> dict[tuple, dict]:
    """The cells of a row, straight from its file."""
    record = results.read_row(paths.row_results(config, group, key))
    return {(cell["dataset"], cell["shots"], cell["frames"]): cell for cell in record["cells"]}


def _slow_verdicts(pairs: list[tuple[dict, dict]]) -> list[str]:
    """Better, same or worse by loops over answers, and Holm's steps by their definition."""
    found = []
    for a, b in pairs:
        total = n = 0
        for mine, other in zip(a["repeats"], b["repeats"], strict=True):
            for x, y in zip(mine["correct"], other["correct"], strict=True):
                if "-" not in (x, y):
                    total, n = total + int(x) - int(y), n + 1
        answers = (stats.answer_matrix([r["correct"] for r in cell["repeats"]]) for cell in (a, b))
        comparison = stats.paired(*answers, results.decode_groups(a["groups"]))
        assert comparison.difference == pytest.approx(100 * total / n)
        found.append((comparison.p, comparison.difference))
    verdicts = ["same"] * len(found)
    for step, i in enumerate(sorted(range(len(found)), key=lambda i: found[i][0])):
        if found[i][0] * (len(found) - step) > 0.05:
            break
        verdicts[i] = "better" if found[i][1] > 0 else "worse"
    return verdicts


@pytest.mark.parametrize("method", ["mean_pool", "clip_zeroshot", "temporal_transformer", "vidprism_c_released"])
def test_a_card_equals_a_slow_recomputation(config: Config, method: str) -> None:
    mine, other = (_cells(config, "few_shot", key) for key in ("vidprism_c", method))
    for frames in config.profile.closed_set.frames:
        mine |= _cells(config, "closed_set", f"vidprism_c-mini_clip-{frames}f")
        other |= _cells(config, "closed_set", f"{method}-mini_clip-{frames}f")
    verdicts = _slow_verdicts([(mine[place], other[place]) for place in mine])
    counts = " ".join(f"{verdicts.count(v)} {v}" for v in ("better", "same", "worse"))
    (card,) = (card for card in _cards(config)[: len(CONTROLS) + 1] if f"against Label of {method} " in card)
    assert f"{counts} 14 cells: 14 tests, Holm at 5%." in card
    if method in ACCURACY:
        assert verdicts.count("same") < 14


def test_the_answer_and_its_sentence(config: Config) -> None:
    words = _words(_text(config))
    assert "It depends: it is better in some cells and worse in others." in words
    first = find_contests(config)[0]
    pool = next(match for match in first.matches if match.opponent.method == "mean_pool")
    assert f"than Label of mean_pool in {pool.count('better')} of 14 cells" in words
    gain = max(e.difference for m in first.matches if not m.opponent.is_vidprism for e in m.effects)
    assert f"The largest gain: +{gain:.1f} points" in words


def test_each_track_and_encoder_is_a_contest_of_its_own(config: Config) -> None:
    found = {(c.track, c.encoder): [m.opponent.method for m in c.matches] for c in find_contests(config)}
    assert found == {
        ("frozen", "mini_clip"): [*CONTROLS, "vidprism_c_released"],
        ("frozen", "mini_videomae"): ["mean_pool", "temporal_transformer", "vidprism_m_released"],
        ("tuned", "mini_clip"): ["clip_zeroshot", "mean_pool"],
    }
    assert len(_cards(config)) == len(CONTROLS) + 1 + 3 + 2


def _with_method(config: Config, root: Path, label: str) -> Config:
    """The profile with one more method, which only params.yaml and the results know."""
    few_shot = config.profile.few_shot
    profile = replace(config.profile, few_shot=replace(few_shot, controls=(*few_shot.controls, "newcomer")))
    other = replace(config, root_dir=root, profile=profile, methods={**config.methods, "newcomer": {}})
    write_all(config=replace(config, root_dir=root), accuracy=ACCURACY)
    records = list(results.load_results(replace(config, root_dir=root), "few_shot").values())
    records.append({**fake_record(other, rows(other, "few_shot")["newcomer"], 0.2), "label": label})
    results.write_results(other, "few_shot", records)
    return other


def test_a_new_method_appears_without_an_edit(config: Config, tmp_path: Path) -> None:
    other = _with_method(config, tmp_path, "Newcomer")
    for page in report.write_index(other)[:2]:
        assert page.read_text(encoding="utf-8").count("Newcomer") > 3, page.name
    (card,) = (card for card in _cards(other) if "against Newcomer" in card)
    assert "12 cells: 12 tests" in card
    assert "newcomer" in method_colours(other)


def test_a_hostile_label_stays_text(config: Config, tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script>\"><img src=x>"
    for path in report.write_index(_with_method(config, tmp_path, hostile))[:2]:
        found = Page(path.read_text(encoding="utf-8"))
        assert found.tags.count("script") == 1 and "img" not in found.tags
        assert "alert('x')" in "".join(found.text)
        assert not [name for name in found.attributes if name.startswith("on") or name == "style"]


def test_many_methods_leave_the_index_small(config: Config, tmp_path: Path) -> None:
    few_shot, names = config.profile.few_shot, [f"peer_{i}" for i in range(12)]
    profile = replace(config.profile, few_shot=replace(few_shot, controls=(*few_shot.controls, *names)))
    other = replace(config, root_dir=tmp_path, profile=profile, methods={**config.methods, **{n: {} for n in names}})
    write_all(other)
    sizes = {path.stem: path.stat().st_size for path in report.write_index(other)}
    assert sizes["index"] < 120_000, "30 kB are left for moving pictures"
    assert max(sizes.values()) < 1_000_000
    plots = re.findall(r'<svg class="chart" viewBox="0 0 340.*?</svg>', _text(other, "cells"), re.DOTALL)
    assert max(len(re.findall(r'<g class="s\d">', svg)) for svg in plots) == 8


def test_the_leaderboard_is_sorted_by_the_mean_over_datasets(config: Config) -> None:
    board = leaderboard(config, find_contests(config))
    means = [standing.mean for standing in board.standings]
    assert board.shots == 16 and len(means) == len(CONTROLS) + 2 + 4 and means == sorted(means, reverse=True)
    best = board.standings[0]
    cells = [
        _cells(config, "few_shot", "clip_zeroshot")[dataset, 16, 32] for dataset in config.profile.few_shot.datasets
    ]
    assert best.contender.method == "clip_zeroshot"
    assert best.mean == pytest.approx(np.mean([np.mean([r["top1"] for r in cell["repeats"]]) for cell in cells]))


def test_one_method_has_one_colour(config: Config) -> None:
    colours = method_colours(config)
    assert colours["vidprism_c"] == colours["vidprism_m"] == "s0"
    others = [css for name, css in colours.items() if css != "s0"]
    assert others == [f"s{1 + i % 7}" for i in range(len(CONTROLS) + 2)], "and the two released readings"


def test_the_ablation_card_counts_tables_and_readings(config: Config) -> None:
    text = _words(_text(config))
    told, total = map(int, re.search(r"Ablations (\d+) of (\d+) effects", text).groups())
    listed = [tuple(map(int, found)) for found in re.findall(r": (\d+) of (\d+) effects separable from zero", text)]
    assert len(listed) == 4 and (told, total) == tuple(map(sum, zip(*listed, strict=True)))
