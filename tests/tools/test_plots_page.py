"""The page of `dvc plots show`: it draws without a network, and DVC finds it where `make env` wrote it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.plots_page import write_plots_page

ROOT = Path(__file__).resolve().parents[2]
POINTS = """row,rows,dataset,shots,top1,low,high
a,rows 1 to 2,ucf101,2,40.0,35.0,45.0
b,rows 1 to 2,ucf101,2,42.0,36.0,48.0
a,rows 1 to 2,hmdb51,4,50.0,45.0,55.0
"""
LOG = """step	series	total
10	ucf101_k2 repeat 0	2.0
10	ucf101_k2 repeat 1	2.2
20	ucf101_k2 repeat 0	1.0
20	ucf101_k2 repeat 1	1.4
10	my_set_all	3.0
20	my_set_all	2.0
"""
PLOTS = """plots:
  - first: {template: dots, x: top1, y: {points.csv: row}}
  - second: {template: by_row, x: shots, y: {points.csv: top1}}
  - third: {template: by_shots, x: shots, y: {points.csv: top1}}
  - fourth: {template: by_series, x: step, y: {log.tsv: total}}
"""


def shown(folder: Path) -> str:
    """The page that `dvc plots show` makes of `PLOTS` in a repository with the templates of the suite."""
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc")
    (folder / "points.csv").write_text(POINTS)
    (folder / "log.tsv").write_text(LOG)
    (folder / "dvc.yaml").write_text(PLOTS)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    write_plots_page(folder)
    command = [sys.executable, "-m", "dvc", "plots", "show", "--out", "shown"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "shown" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_needs_no_network(tmp_path: Path) -> None:
    text = shown(tmp_path)
    assert text.count("vegaEmbed(") >= 4 and "window.vegaEmbed=" in text
    elements = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert elements.count("<script") == 5 and not re.search(r" (src|href)=|url\(", elements)


def test_other_local_settings_of_dvc_stay(tmp_path: Path) -> None:
    local = tmp_path / ".dvc" / "config.local"
    local.parent.mkdir()
    local.write_text("[core]\n    autostage = true\n[plots]\n    auto_open = true\n")
    page = write_plots_page(tmp_path)
    text = local.read_text()
    assert "autostage = true" in text and "auto_open = true" in text and f"html_template = {page.name}" in text
