"""The engine that runs a stage's notebook: it checks parameters, and keeps and forwards failures."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from vidprism.config import ConfigError
from vidprism.execute import execute, main, typed_parameters
from vidprism.runtime import interruption


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and one notebook that divides 6 by its parameter."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    first = new_code_cell('profile = "smoke"\nnumber = 2\nname = "a"', metadata={"tags": ["parameters"]})
    cells = [first, new_code_cell("print('result', 6 / number)"), new_code_cell("assert number, 'promised'")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "divide.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_executed_notebook_holds_its_output(clone: Path) -> None:
    target = execute("divide", {"number": "3", "name": "2_4"}, clone)
    cells = nbformat.read(target, 4).cells
    assert "result 2.0" in cells[2].outputs[0].text
    timing = json.loads((clone / "reports/timings/smoke/divide-3-2_4.json").read_text())
    assert timing["seconds"] >= 0


def test_text_stays_text_and_numbers_become_numbers(clone: Path) -> None:
    values = typed_parameters(clone / "notebooks/divide.ipynb", {"number": "7", "name": "1_6"})
    assert values == {"profile": "smoke", "number": 7, "name": "1_6"}


def test_unknown_names_are_refused(clone: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        execute("divide", {"numbr": "3"}, clone)
    with pytest.raises(ConfigError, match="did you mean 'divide'"):
        execute("divid", {}, clone)
    with pytest.raises(ConfigError, match="is not int"):
        execute("divide", {"number": "three"}, clone)


def test_a_failing_cell_fails_the_stage_and_is_kept(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["divide", "number=0"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    kept = nbformat.read(clone / "reports/notebooks/smoke/divide-0-a.ipynb", 4)
    assert "An Exception was encountered" in kept.cells[0].source


def test_a_stage_that_was_asked_to_stop_has_a_status_of_its_own(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clone / "notebooks" / "divide.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[
        1
    ].source = (
        "from vidprism.runtime.interruption import Interrupted\nraise Interrupted('asked to stop after update 3')"
    )
    nbformat.write(notebook, path)
    assert main(["divide"]) == interruption.STATUS == 75
    assert "divide: asked to stop after update 3; `dvc repro` continues from there" in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2 and main(["divide", "number"]) == 2
    assert "KEY=VALUE" not in capsys.readouterr().out


def test_a_failed_stage_gets_its_committed_reports_back(clone: Path) -> None:
    """DVC has deleted them before the stage runs."""
    page = clone / "reports" / "tables" / "mini" / "table1.html"
    page.parent.mkdir(parents=True)
    page.write_text("measured")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=clone, check=True)
    page.unlink()
    assert main(["divide", "number=0"]) == 1
    assert page.read_text() == "measured"
