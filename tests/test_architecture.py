"""The folder tree is the architecture: imports run one way, tables and reports need no torch, modules stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vidprism"
MODULES = sorted(PACKAGE.rglob("*.py"))
# A module imports only from its own layer's names and from layers above it.
LAYERS = [
    {"config", "cores", "interruption"},
    {"muon", "names", "paths", "rows", "plots", "provenance", "prompts", "record", "metrics"},
    {"container", "sequential", "ways", "selective", "decoding"},
    {"execute", "stats", "paper", "world", "video", "draws", "datasets", "shot_lists", "model", "backbones"},
    {"duplicates"},
    {"results", "probing", "manifest", "masked", "methods", "complexity", "subset", "shards", "frame_cache"},
    {"grouping", "pretrain", "pretrain_video"},
    {"encoding", "features", "tables"},
    {"learned", "report", "compare", "scores", "live"},
    {"training", "dev_error"},
    {"trials"},
    {"search", "evaluation", "rehearsal", "distributed"},
]


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vidprism":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("vidprism.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert not imported(path)
        return
    for other in imported(path) - {own}:
        assert layer(other) <= layer(own), f"{own} must not import {other}"


@pytest.mark.parametrize(
    "module", ["config", "rows", "results", "paper", "stats", "complexity", "tables", "report", "compare", "evaluation"]
)
def test_needs_no_torch(module: str) -> None:
    program = f"import sys, vidprism.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_small_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not tree.body
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} does not fit on a screen"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert node.returns and all(a.annotation for a in arguments), f"{node.name} is not fully annotated"
