"""A notebook that is run and saved stays the same file, so that no stage is stale for it; an edit changes it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from nbformat.v4 import new_code_cell, new_output

from tools import notebooks, preflight

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with params.yaml and the notebooks."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def run(notebook: nbformat.NotebookNode) -> None:
    """What Jupyter and VS Code leave in a notebook whose cells were run."""
    notebook["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    notebook["metadata"]["language_info"] |= {"version": "3.11.7", "codemirror_mode": {"name": "ipython"}}
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    for count, cell in enumerate(notebook["cells"], 1):
        cell["metadata"] |= {"collapsed": False, "execution": {"iopub.status.busy": "2026"}, "vscode": {}}
        if cell["cell_type"] == "code":
            cell["execution_count"] = count
            cell["outputs"] = [new_output("stream", name="stdout", text="12.5\n")]


def save_in_jupyter(folder: Path, name: str, edit: Callable[[nbformat.NotebookNode], None]) -> None:
    """Open a notebook in Jupyter's own contents manager as `make lab` sets it up, change it and save it."""
    manager = LargeFileManager(root_dir=str(folder), pre_save_hook=notebooks.before_save)
    model = manager.get(name)
    edit(model["content"])
    manager.save(model, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_that_was_run_and_saved_in_jupyter_is_the_same_file(clone: Path, name: str) -> None:
    before = (clone / "notebooks" / name).read_bytes()
    save_in_jupyter(clone / "notebooks", name, run)
    assert (clone / "notebooks" / name).read_bytes() == before


def test_an_edit_of_a_cell_is_kept(clone: Path) -> None:
    path = clone / "notebooks" / "search.ipynb"
    before = nbformat.read(path, 4)

    def edit(notebook: nbformat.NotebookNode) -> None:
        notebook["cells"][4]["source"] += "\n# looked at twice"
        notebook["cells"].append(new_code_cell("1 + 1", metadata={"tags": ["extra"]}))
        run(notebook)

    save_in_jupyter(clone / "notebooks", "search.ipynb", edit)
    after = nbformat.read(path, 4)
    assert [c.source for c in after.cells[:4]] == [c.source for c in before.cells[:4]]
    assert after.cells[4].source.endswith("# looked at twice") and after.cells[-1].metadata == {"tags": ["extra"]}


def test_make_lab_sets_the_hook() -> None:
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "\tPYTHONPATH" in line]
    hook = f"{notebooks.__name__}.{notebooks.before_save.__name__}"
    assert line == f"\tPYTHONPATH=$(CURDIR) jupyter lab --ContentsManager.pre_save_hook={hook} notebooks"


def test_preflight_strips_what_another_editor_saved(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    path = clone / "notebooks" / "train.ipynb"
    before, other = path.read_bytes(), (clone / "notebooks" / "search.ipynb").stat().st_mtime_ns
    dirty = nbformat.read(path, 4)
    run(dirty)
    path.write_text(json.dumps(dirty, indent=4))
    assert preflight.main("smoke") == 0 and path.read_bytes() == before
    assert "that an editor saved were stripped from train.ipynb\n" in capsys.readouterr().out
    assert (clone / "notebooks" / "search.ipynb").stat().st_mtime_ns == other, "a clean one is not written"
    assert preflight.main("smoke") == 0 and "stripped" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}", "{}", "[]"])
def test_what_is_no_notebook_is_one_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.chdir(clone)
    (clone / "notebooks" / "train.ipynb").write_text(text)
    assert preflight.main("smoke") == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "train.ipynb is not a notebook" in out
