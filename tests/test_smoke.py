"""The smoke profile end to end in a temporary clone: the results of `dvc repro`, and what an edit reruns."""

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from tools import locks, smoke
from tools.with_profile import choose
from vidprism.evaluation import results

ROOT = Path(__file__).resolve().parents[1]
NETWORK_LOG = Path(tempfile.mkdtemp(prefix="vidprism-")) / "network"
# the stages' `python` must be the one that runs the tests; no stage may talk to another machine
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT / "tests" / "no_network"),
    "NETWORK_LOG": str(NETWORK_LOG),
}
pytestmark = pytest.mark.pipeline


def dvc_or_module(folder: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)


def run(folder: Path, *command: str) -> str:
    done = dvc_or_module(folder, *command)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def git(folder: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git would carry, in a new repository, with the smoke profile chosen and run."""
    folder = tmp_path_factory.mktemp("clone") / "suite"
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = folder / "params.yaml"
    params.write_text(choose(params.read_text(encoding="utf-8"), "smoke"), encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "smoke")
    run(folder, "dvc", "repro")
    return folder


def would_run(clone: Path) -> list[str]:
    """Names of the stages that `dvc repro` would run now."""
    return ran(run(clone, "dvc", "repro", "--dry"))


def ran(out: str) -> list[str]:
    """Names of the stages in what `dvc repro` printed."""
    return [line.split("'")[1] for line in out.splitlines() if line.startswith("Running stage")]


def test_reports_are_there_and_labelled(clone: Path) -> None:
    tables = clone / "reports" / "tables" / "smoke"
    pages = [tables / "table1.html", tables / "table2.html", tables / "table3.html", tables / "readings.html"]
    overview = [clone / "reports" / "overview" / "smoke" / f"{name}.html" for name in ("index", "cells", "trust")]
    for page in [*pages, *overview]:
        text = page.read_text(encoding="utf-8")
        assert "generated" in text.lower() and text.count("<script") == 1 and "http-equiv" in text, page.name
    assert overview[0].read_text(encoding="utf-8").count("data:image/webp;base64,") == 2
    front = (clone / "reports" / "index.html").read_text(encoding="utf-8")
    assert "overview/mini/index.html" in front and "smoke" not in front, "smoke is not published"
    with (tables / "table3.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert any(row["status"] == "measured" for row in rows) and any(row["status"] == "not run" for row in rows)


def test_git_shows_no_change_after_make_smoke(clone: Path) -> None:
    """Except for the entries of dvc.lock that `make smoke` removes at its end."""
    changed = git(clone, "ls-files", "-m", "-d", "-o", "--exclude-standard").splitlines()
    assert not [name for name in changed if Path(name).name != "dvc.lock"]
    for name in changed:
        before = git(clone, "show", f"HEAD:{name}")
        assert locks.put_back((clone / name).read_text(encoding="utf-8"), before, smoke.PROFILE) == before


def test_no_other_machine_is_asked(clone: Path) -> None:
    asked = NETWORK_LOG.read_text() if NETWORK_LOG.exists() else ""
    assert not asked, f"the pipeline tried to reach {asked}"


def test_results_say_what_they_rest_on(clone: Path) -> None:
    record = results.read_row(clone / "reports/results/smoke/few_shot/vidprism_c.json")
    assert record["generated"] is True and record["code"]["version"] and record["environment"]["torch"]
    for cell in record["cells"]:
        assert cell["n_scored"] <= cell["n_listed"] == len(cell["repeats"][0]["correct"])
        assert [r["draw"] for r in cell["repeats"]] == [0, 1]


def test_nothing_changed_means_nothing_runs(clone: Path) -> None:
    assert would_run(clone) == []


def test_declared_dependencies_are_what_the_notebooks_load(clone: Path) -> None:
    """Every module that a stage loaded is listed in its dvc.yaml (as a file or through its folder), and nothing else
    is.
    """
    lock = {}
    for path in [clone / "dvc.lock", *clone.glob("pipelines/*/dvc.lock")]:
        lock |= yaml.safe_load(path.read_text())["stages"]
    plumbing = {
        "vidprism/__init__.py",
        "vidprism/execute.py",
        "vidprism/runtime/engine.py",
        "vidprism/runtime/interruption.py",
        "vidprism/runtime/progress.py",
        "vidprism/runtime/progress_line.py",
        "vidprism/runtime/provenance.py",
    }
    plumbing |= {path.relative_to(clone).as_posix() for path in clone.glob("vidprism/**/__init__.py") if is_empty(path)}
    # files that some methods share; the stages of all controls name them
    of_some = {f"vidprism/methods/_parts/{name}.py" for name in ("layers", "regression")}
    checked = 0
    for stage in lock.values():
        name, *values = stage["cmd"].split()[3:]
        if "profile=smoke" not in values:
            continue  # another profile's stages, from the committed lock
        label = "-".join([name, *filter(None, order(clone, name, dict(v.split("=") for v in values)))])
        loaded = json.loads((clone / f"reports/timings/smoke/{label}.json").read_text())["modules"]
        code = [d["path"].removeprefix("../../") for d in stage["deps"] if "vidprism/" in d["path"]]
        missing = [m for m in loaded if m not in plumbing and not any(m == c or m.startswith(f"{c}/") for c in code)]
        vain = [c for c in code if c.endswith(".py") and c not in loaded and c not in plumbing | of_some]
        assert not missing, f"{stage['cmd']}: add to deps {missing}"
        assert not vain, f"{stage['cmd']}: never loaded {vain}"
        checked += 1
    assert checked >= 15


def is_empty(path: Path) -> bool:
    """Whether a package's own module holds nothing but its docstring."""
    return len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1


def order(clone: Path, notebook: str, values: dict[str, str]) -> list[str]:
    from vidprism.execute import typed_parameters

    found = typed_parameters(clone / "notebooks" / f"{notebook}.ipynb", values)
    return [str(v) for k, v in found.items() if k != "profile"]


VARIANTS = "rates_2_4: {rates: [2, 4]}}, <<"


@pytest.mark.parametrize(
    ("file", "old", "new", "only"),
    [
        ("vidprism/model/aggregation.py", "\n", "\n# edited\n", ["vidprism", "ablations"]),
        ("params.yaml", VARIANTS, VARIANTS.replace("2, 4", "4"), ["rates_2_4"]),
        ("params.yaml", VARIANTS, "rates_2_4: {rates: [2, 4]}, rates_4: {rates: [4]}}, <<", ["rates_4"]),
    ],
    ids=["model", "variant", "new_variant"],
)
def test_an_edit_reruns_what_depends_on_it(clone: Path, file: str, old: str, new: str, only: list[str]) -> None:
    path = clone / file
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new, 1), encoding="utf-8")
    try:
        trained = [name for name in would_run(clone) if "train" in name or "search" in name]
    finally:
        path.write_text(before, encoding="utf-8")
    assert trained, "the edit reran nothing"
    assert all(any(word in name for word in only) for name in trained), trained
    assert not any("mean_pool" in name for name in trained)


@pytest.mark.parametrize("notebook", ["prepare", "table", "custom", "pretrain_video", "score_video"])
def test_a_notebook_opens_as_it_is(clone: Path, tmp_path: Path, notebook: str) -> None:
    """As in JupyterLab: a new kernel, started in notebooks/, default parameters, the smoke data."""
    command = [sys.executable, "-m", "papermill", "-k", "python3", "--no-progress-bar", f"{notebook}.ipynb"]
    done = subprocess.run(
        [*command, str(tmp_path / "out.ipynb")],
        cwd=clone / "notebooks",
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONPATH": f"{clone}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert would_run(clone) == [], "running a notebook by hand changed what the pipeline made"


def test_dvc_shows_how_a_row_trained(clone: Path) -> None:
    row = "data/live/smoke/few_shot/vidprism_c"
    command = ["dvc", "plots", "show", "--json", f"{row}/plots", "--template", "by_series", "-x", "step"]
    shown = json.loads(run(clone, *command))
    (plot,) = shown["data"][f"{row}/plots/metrics/loss/total.tsv"]
    points = plot["content"]["data"]["values"]
    assert [(p["series"], p["step"]) for p in points] == [("ucf101_k2", "10"), ("ucf101_k2", "20")]
    assert {layer["encoding"]["y"]["field"] for layer in plot["content"]["spec"]["layer"]} == {"total"}
    latest = json.loads(run(clone, "dvc", "metrics", "show", "--json", f"{row}/metrics.json"))
    assert latest[""]["data"][f"{row}/metrics.json"]["data"]["ucf101_k2"]["step"] == 20
    page = (clone / "reports/runs/smoke/few_shot/vidprism_c.html").read_text(encoding="utf-8")
    assert page.count("<polyline") == 12 and "Share of expert 3" in page
    trust = (clone / "reports/overview/smoke/trust.html").read_text(encoding="utf-8")
    assert 'href="../../runs/smoke/few_shot/vidprism_c.html"' in trust


def test_dvc_shows_plots_of_groups_and_not_of_every_row(clone: Path) -> None:
    shown = json.loads(run(clone, "dvc", "plots", "show", "--json"))
    assert not shown.get("errors") and 3 * 3 < len(shown["data"]) <= 20
    assert not [name for name in shown["data"] if name.startswith("data/live/")]


def test_dvc_shows_metrics(clone: Path) -> None:
    shown = run(clone, "dvc", "metrics", "show", "--md")
    assert "top1_vidprism" in shown and "correct" not in shown
    assert max(map(len, shown.splitlines())) <= 160 and len(shown.splitlines()) <= 12, "it fits a screen"


def test_an_experiment_is_run_shown_and_undone(clone: Path) -> None:
    """`dvc exp run -S`, then what `dvc params diff`, `dvc metrics diff`, `dvc plots show` and `make compare` say."""
    key = "profile.ablations.variants.rates_2_4.rates"  # the anchor's name, `smoke.`, would change nothing
    results = ["reports/results/smoke", "reports/search/smoke", "reports/tables/smoke"]
    git(clone, "add", "-A", "-f", *results)
    git(clone, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "results")
    params, locks = clone / "params.yaml", [*clone.glob("**/dvc.lock")]
    before = {path: path.read_bytes() for path in [params, *locks]}
    try:
        out = run(clone, "dvc", "exp", "run", "-S", f"{key}=[4]")
        assert [name.split(":")[-1] for name in ran(out) if "train@" in name] == ["train@smoke-rates_2_4"], out
        changed = json.loads(run(clone, "dvc", "params", "diff", "--json"))["params.yaml"]
        assert changed[key] == {"old": "[2, 4]", "new": "[4]"}
        moved = json.loads(run(clone, "dvc", "metrics", "diff", "--json"))
        assert list(moved) == ["reports/results/smoke/ablations.json"] and "top1_mean" in next(iter(moved.values())), (
            moved
        )
        run(clone, "dvc", "plots", "show", "--out", "shown")
        assert "rates_2_4" in (clone / "shown" / "index.html").read_text(encoding="utf-8")
        *cells, total = run(clone, "vidprism.report.compare", "HEAD").splitlines()
        assert cells and all(line.startswith("3, ") for line in cells) and "since HEAD" in total
    finally:
        shutil.rmtree(clone / "shown", ignore_errors=True)
        for path, content in before.items():
            path.write_bytes(content)
    run(clone, "dvc", "repro")
    assert would_run(clone) == []


def test_a_bad_key_fails_clearly_and_leaves_results(clone: Path) -> None:
    params = clone / "params.yaml"
    before = params.read_text(encoding="utf-8")
    results = {p: p.read_bytes() for p in (clone / "reports" / "results" / "smoke").glob("*.json")}
    params.write_text(before.replace(VARIANTS, VARIANTS.replace("rates:", "rate:")), encoding="utf-8")
    try:
        done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=clone, capture_output=True, text=True)
    finally:
        params.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    assert "rate" in done.stdout + done.stderr and "rates" in done.stdout + done.stderr
    assert results == {p: p.read_bytes() for p in (clone / "reports" / "results" / "smoke").glob("*.json")}
    run(clone, "dvc", "repro")  # reverting restores from the run cache
    assert would_run(clone) == []
