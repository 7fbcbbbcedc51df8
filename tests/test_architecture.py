"""The folder tree is the architecture: rooms on floors, imports that run downwards, small modules, unique names."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vidprism"
MODULES = sorted(PACKAGE.rglob("*.py"))
# A room is a folder of the package, or execute.py. It imports only from floors below its own.
FLOORS = [
    {"config", "model", "paper", "runtime"},
    {"backbones", "datasets", "execute", "methods", "records", "world"},
    {"complexity", "descriptions", "videos"},
    {"features", "pretraining"},
    {"evaluation", "training"},
    {"finetuning", "report"},
    {"runs"},
    {"inference", "search"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MOST_ARROWS = 80  # from room to room


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


@cache
def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, including imports inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vidprism":
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else node.module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "vidprism"}
    return found - {"vidprism"}


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_its_floor_and_no_module_lies_loose() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert rooms == FLOOR_OF.keys()
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "execute.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_downwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported(path):
        other = room(module)
        assert other == own or FLOOR_OF[other] < FLOOR_OF[own], f"{own} must not import {other}"


def test_arrows_are_few() -> None:
    arrows = {(room(name_of(path)), room(m)) for path in MODULES if path.parent != PACKAGE for m in imported(path)}
    assert sum(own != other for own, other in arrows) <= MOST_ARROWS


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {name_of(path): imported(path) & NAMES for path in MODULES}
    while leaves := {name for name, targets in arrows.items() if not targets & arrows.keys()}:
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}
    assert not arrows, f"circles among {sorted(arrows)}"


def test_tools_import_no_tests() -> None:
    for path in (ROOT / "tools").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
            assert not any((name or "").split(".")[0] == "tests" for name in names), path


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        *("config", "config.rows", "records.record", "records.scores", "features.store", "paper", "complexity"),
        *("evaluation.evaluate", "evaluation.results", "evaluation.stats", "report", "report.tables", "report.compare"),
    ],
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


# Names that a kind of module must have, and `main`: one in every member of the kind.
INTERFACES = {
    "backbones": {"available", "build", "create", "visual"},
    "complexity": {"Tower", "clips", "head", "tower"},
    "datasets": {"available", "class_names", "class_text", "list_videos", "path_class"},
    "methods": {"available", "batch_terms", "build", "descriptions", "resolve"},
    "pretraining": {"pretrain"},
}


def test_one_name_has_one_meaning() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        module = name_of(path)
        if module.startswith(("vidprism.world", "vidprism.config.paths")):
            continue  # the text of world is pinned, and a path has the name of what it leads to
        exempt = INTERFACES.get(room(f"{module}."), set()) | {"main"}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            is_public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if is_public and node.name not in exempt:
                homes.setdefault(node.name, []).append(module)
    assert len(homes) > 300
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}
