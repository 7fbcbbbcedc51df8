"""Cells that changed since a git revision, in a repository of the test's own."""

import copy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fake_results import REPO, fake_config, fake_record
from vidprism import report
from vidprism.config import Config, paths
from vidprism.config.rows import rows
from vidprism.evaluation import results
from vidprism.report import compare


def _git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def _write(config: Config, accuracy: dict[str, float]) -> None:
    expected = rows(config, "ablations")
    results.write_results(config, "ablations", [fake_record(config, expected[key], a) for key, a in accuracy.items()])
    report.write_table(config, 4)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A repository whose committed Table 4 has three measured rows; in its working tree two rows have
    changed.
    """
    config = fake_config(tmp_path_factory.mktemp("repo"))
    shutil.copy(REPO / "params.yaml", config.root_dir)
    _git(config.root_dir, "init", "-q")
    _write(config, {"default": 0.6, "loss_cls": 0.6, "loss_cls_rank": 0.6})
    _git(config.root_dir, "add", ".")
    _git(config.root_dir, "commit", "-qm", "first")
    _write(config, {"default": 0.6, "loss_cls": 0.2, "loss_cls_rank_div": 0.6, "loss_cls_rank": 0.602})
    return config


def test_changed_cells(config: Config) -> None:
    found = {change.cell: change for change in compare.changed_cells(config, "HEAD")}
    assert not any("gate" in cell for cell in found)  # the default row is the same
    lost = found["4, L_cls, ucf101_k16_top1"]
    assert lost.found.startswith("beyond the interval [-") and float(lost.old) > float(lost.new)
    new = found["4, L_cls + L_rank + L_div, hmdb51_k16_top1"]
    assert (new.old, new.found) == ("not run", "")
    small = [change for cell, change in found.items() if cell.startswith("4, L_cls + L_rank, ")]
    assert small and all(change.found.startswith("within the interval [-") for change in small)


def test_cells_of_other_test_videos_are_not_compared(config: Config) -> None:
    before = results.read_records(config, "ablations")
    shorter = copy.deepcopy(before)
    for cell in shorter[-1]["cells"]:
        cell |= {"groups": None, "n_listed": 50}
        for repeat in cell["repeats"]:
            repeat |= {name: repeat[name][:50] for name in ("correct", "correct5")}
    results.write_results(config, "ablations", shorter)
    try:
        found = compare.changed_cells(config, "HEAD")
    finally:
        results.write_results(config, "ablations", before)
    assert "not comparable: other test videos, repeats or weights of the backbone" in {c.found for c in found}


def test_nothing_changed_since_the_same_state(
    config: Config, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.root_dir)
    assert compare.main(["HEAD"]) == 0
    printed = capsys.readouterr().out
    assert "beyond the interval" in printed and "cells of profile mini changed since HEAD" in printed
    assert compare.main(["HEAD", "--profile", "smoke"]) == 0
    assert "0 cells of profile smoke" in capsys.readouterr().out


def test_a_new_table_is_absent_before(config: Config) -> None:
    report.write_table(config, 5)
    found = compare.changed_cells(config, "HEAD")
    (paths.tables(config) / "table5.csv").unlink()
    assert {change.old for change in found if change.cell.startswith("5,")} == {"absent"}


def test_unknown_revision_and_profile(
    config: Config, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.root_dir)
    for arguments, message in (
        (["no_such_rev"], "'no_such_rev' is not a revision"),
        (["HEAD", "--profile", "minni"], "did you mean 'mini'"),
    ):
        assert compare.main(arguments) == 1
        printed = capsys.readouterr()
        assert message in printed.err and not printed.out


def test_option_like_revision_is_no_option(config: Config) -> None:
    with pytest.raises(compare.RevisionError, match="is not a revision"):
        compare.changed_cells(config, "--output=x")


def test_not_a_repository(tmp_path: Path) -> None:
    with pytest.raises(compare.RevisionError):
        compare.changed_cells(fake_config(tmp_path), "HEAD")
