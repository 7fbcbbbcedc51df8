"""The pipeline as data: it expands in every profile, names what exists, and is small enough for DVC."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import networkx as nx
import pytest
import yaml
from dvc.repo import Repo

from tools import preflight
from tools.with_profile import choose
from vidprism.config import load_config, paths
from vidprism.config.rows import GROUPS, rows

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "dvc.yaml", *sorted((ROOT / "pipelines").glob("*/dvc.yaml"))]
STAGES = [(path, name, stage) for path in FILES for name, stage in yaml.safe_load(path.read_text())["stages"].items()]
IDS = [f"{path.parent.name}:{name}" for path, name, _ in STAGES]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with nothing but the pipeline and its parameters."""
    folder = tmp_path_factory.mktemp("pipeline")
    for path in [*FILES, ROOT / "params.yaml", ROOT / ".dvc" / "config"]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def stage_names(folder: Path, profile: str) -> list[str]:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(choose(text, profile), encoding="utf-8")
    command = [sys.executable, "-m", "dvc", "stage", "list", "--all", "--name-only"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "at_most"), [("smoke", 24), ("mini", 145), ("full", 145), ("paper", 200), ("rehearsal", 30)]
)
def test_it_expands(bare: Path, profile: str, at_most: int) -> None:
    names = stage_names(bare, profile)
    assert 15 <= len(names) <= at_most
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "name", "stage"), STAGES, ids=IDS)
def test_a_stage_runs_a_notebook_with_parameters_it_has(path: Path, name: str, stage: dict) -> None:
    words = stage["cmd"].split()
    assert words[:3] == ["python", "-m", "vidprism.execute"]
    notebook = ROOT / "notebooks" / f"{words[3]}.ipynb"
    assert f"notebooks/{words[3]}.ipynb" in stage["deps"]
    tagged = [c for c in nbformat.read(notebook, 4).cells if "parameters" in c.metadata.get("tags", [])]
    values: dict = {}
    exec(tagged[0].source, {}, values)
    assert {word.split("=")[0] for word in words[4:]} <= set(values)


@pytest.mark.parametrize(("path", "name", "stage"), STAGES, ids=IDS)
def test_dependencies_on_code_exist_and_are_sorted(path: Path, name: str, stage: dict) -> None:
    for dep in stage["deps"]:
        if dep.startswith(("vidprism/", "notebooks/")):
            stem = dep.replace("${item.dataset}", "ucf101").replace("${item.method}", "mean_pool")
            assert (ROOT / stem.replace("${profile.ablations.method}", "vidprism_c")).exists(), dep
    code = [dep for dep in stage["deps"] if dep.startswith("vidprism/")]
    assert code == sorted(code) and len(set(code)) == len(code)


@pytest.mark.parametrize(("path", "name", "stage"), STAGES, ids=IDS)
def test_outputs_bear_the_profile(path: Path, name: str, stage: dict) -> None:
    outputs = stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", [])
    assert outputs
    for output in outputs:
        where = output if isinstance(output, str) else next(iter(output))
        assert "${item.profile}" in where or where == "reports/index.html"
    assert all(m[next(iter(m))] == {"cache": False} for m in stage.get("metrics", []))


@pytest.mark.parametrize(("path", "name", "stage"), STAGES, ids=IDS)
def test_the_log_of_a_row_is_an_output_and_no_plot(path: Path, name: str, stage: dict) -> None:
    """As plots, the logs of all rows of mini would be more than 600 pictures in one page."""
    if not stage["cmd"].startswith("python -m vidprism.execute train "):
        return
    run, *log = stage["outs"]
    live = run.replace("data/runs/", "data/live/")
    assert log == [f"{live}/metrics.json", f"{live}/plots"]
    assert "plots" not in stage and "metrics" not in stage


@pytest.fixture(scope="module")
def code_of(bare: Path) -> dict[str, tuple[str, set[str]]]:
    """Each stage of mini: its notebook, and the code and notebooks that it depends on."""
    stage_names(bare, "mini")  # chooses the profile
    found = {}
    for stage in Repo(str(bare)).index.stages:
        deps = {os.path.relpath(os.path.join(stage.wdir, dep.def_path), bare) for dep in stage.deps}
        found[stage.addressing] = stage.cmd.split()[3], deps
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "train", "only"),
    [
        ("vidprism/model/aggregation.py", 61, ("vidprism", "ablations", "video")),
        ("vidprism/methods/mean_pool.py", 8, ("mean_pool",)),
        ("vidprism/methods/regression_halves.py", 4, ("regression_halves",)),
        ("vidprism/methods/_parts/layers.py", 52, ("controls", "video")),
        ("vidprism/methods/_parts/regression.py", 52, ("controls", "video")),
        ("vidprism/finetuning/microbatches.py", 6, ("tuned",)),
        ("vidprism/training/frozen.py", 105, ()),
        ("vidprism/search/search.py", 19, ("search",)),
        ("vidprism/evaluation/stats.py", 0, ()),
        ("vidprism/evaluation/evaluate.py", 0, ()),
        ("vidprism/report/overview/found.py", 0, ()),
    ],
)
def test_an_edit_makes_stale_what_depends_on_it(code_of: dict, file: str, train: int, only: tuple[str, ...]) -> None:
    """How many trainings and searches of mini an edit of one file makes stale, and which."""
    stale = {
        name
        for name, (notebook, deps) in code_of.items()
        if notebook in ("pretrain", "pretrain_video", "search", "train")
        and any(file == dep or file.startswith(f"{dep}/") for dep in deps)
    }
    assert len(stale) == train, sorted(stale)
    assert not only or all(any(word in name for word in only) for name in stale), sorted(stale)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["mini", "full"])
def test_a_row_waits_for_what_it_needs_and_for_no_other_search(bare: Path, profile: str) -> None:
    """Its own search, the pre-training of its backbone, and the row that it starts from."""
    stage_names(bare, profile)  # chooses the profile
    config = load_config(profile, bare)
    graph = Repo(str(bare)).index.graph
    of_command = {" ".join(stage.cmd.split()[3:]): stage for stage in graph}
    for row in (row for group in GROUPS for row in rows(config, group).values() if not row.off):
        stage = of_command[f"train profile={profile} group={row.group} row={row.key}"]
        needed = {os.path.relpath(out.fs_path, bare) for one in nx.descendants(graph, stage) for out in one.outs}
        search = paths.search(config, row.method, row.backbone, row.track).relative_to(bare).as_posix()
        assert {name for name in needed if name.startswith("reports/search/")} == {search}, row.key
        if row.backbone in config.profile.pretrained:
            assert f"data/backbones/{profile}/{row.backbone}" in needed, row.key
        if row.init_from:
            assert f"data/runs/{profile}/closed_set/{row.init_from}" in needed, row.key


def test_the_profile_that_the_readme_shows_works(bare: Path) -> None:
    """A profile of the user's own on cached features needs no weights that a stage makes."""
    block = re.search(r"```yaml\n(mine: .*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    at = text.index("# The one line to change")
    (bare / "params.yaml").write_text(choose(f"{text[:at]}{block}\n{text[at:]}", "mine"), encoding="utf-8")
    assert preflight.check_options(load_config("mine", bare)) == 11
    stages = {stage.addressing: stage for stage in Repo(str(bare)).index.stages}
    (features,) = (stage for name, stage in stages.items() if name.endswith("features_given@mine-clip_b16-custom"))
    deps = [dep.def_path for dep in features.deps]
    assert not any(dep.startswith("data/backbones") for dep in deps)
    made = {out.def_path for stage in stages.values() for out in stage.outs}
    read = {dep.def_path for stage in stages.values() for dep in stage.deps if dep.def_path.startswith("data/")}
    given = {"data/lists", "data/raw/custom"}
    assert all(path in given or any(out.startswith(path) or path.startswith(out) for out in made) for path in read)


def test_names_are_plain() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in [*params["methods"], *params["variants"]]:
        assert name.isidentifier() and name == name.lower(), name


def test_ci_installs_a_browser_and_calls_make_test() -> None:
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd ", "if ", "fi", "root="))]
    *installs, last = [line for line in commands if not line.startswith("export ")]
    apt_get = ("$root apt-get ", "$root env DEBIAN_FRONTEND=noninteractive apt-get ")
    assert last == "make test" and all(line.startswith(apt_get) for line in installs)
    assert "export VIDPRISM_BROWSER=required" in commands, "a missing browser is a failure there"
