"""The engine that runs a stage's notebook: it checks parameters, and keeps and forwards failures."""

import html
import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from vidprism.config import ConfigError
from vidprism.execute import execute, main, typed_parameters
from vidprism.report import in_notebook
from vidprism.runtime import interruption, progress_line


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


def outputs(clone: Path, *sources: str) -> list[list]:
    """The outputs of cells of a notebook that `execute` ran."""
    cells = [new_code_cell('profile = "smoke"', metadata={"tags": ["parameters"]}), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), clone / "notebooks" / "shown.ipynb")
    return [cell.outputs for cell in nbformat.read(execute("shown", {}, clone), 4).cells[-len(sources) :]]


def test_tables_and_figures_are_kept_as_a_person_sees_them(clone: Path) -> None:
    table, shown, figure, both = outputs(
        clone,
        "import pandas as pd\npd.DataFrame({'accuracy': [41.5]})",
        "from IPython.display import display\ndisplay(pd.DataFrame({'a': [1]}))\n'value'",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        "plt.plot([3, 4])\nplt.show()\nprint('told')",
    )
    assert table[0].output_type == "execute_result" and "<td>41.5</td>" in table[0].data["text/html"]
    assert [o.output_type for o in shown] == ["display_data", "execute_result"]
    assert shown[1].data["text/plain"] == "'value'"
    assert len(figure) == 1 and "image/png" in figure[0].data
    pictures = [o for o in both if o.output_type == "display_data"]
    assert len(pictures) == 1 and pictures[0].data["image/png"].startswith("iVBOR"), "one picture, closed afterwards"
    assert [o.text for o in both if o.output_type == "stream"] == ["told\n"]


def test_progress_is_on_the_terminal_and_not_in_the_notebook(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_line, "LINE_EVERY_SEC", 0.05)
    imports = "from time import sleep\nfrom vidprism.runtime.progress import track"
    assert outputs(clone, imports, "for _ in track(range(3), 'update'): sleep(0.5)") == [[], []]
    assert "shown: update 2 of 3, 33 %, about" in capfd.readouterr().err


def test_a_page_in_a_notebook_is_in_a_frame_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "reports" / "a.html"
    page.parent.mkdir()
    page.write_text('<html><style>body { color: red }</style><a class="x" href="../b.html">B &amp; C</a></html>')
    text = in_notebook.view(page, tmp_path)._repr_html_()
    assert text.startswith('<iframe title="reports/a.html" srcdoc="') and "<style>" not in text
    inside = html.unescape(text.split('srcdoc="')[1].split('"')[0])
    assert '<a class="x">B &amp; C</a>' in inside and "href" not in inside
