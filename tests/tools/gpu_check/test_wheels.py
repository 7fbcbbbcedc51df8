"""The wheels that travel to a machine with a GPU: whatever the check imports is there, or is carried."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.fake_results import REPO

pytestmark = pytest.mark.slow

PAGE = REPO / "tools" / "gpu_check" / "gpu.md.j2"
LOADED = """
import json, sys
import tools.gpu_check.__main__, tools.gpu_check.parts
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""


def needs(name: str) -> set[str]:
    """The packages that a package needs itself, on this platform."""
    try:
        found = map(Requirement, importlib.metadata.requires(name) or [])
    except importlib.metadata.PackageNotFoundError:
        return set()  # needed on other platforms only
    return {canonicalize_name(r.name) for r in found if not r.marker or r.marker.evaluate({"extra": ""})}


def closure(names: Iterable[str]) -> set[str]:
    """The packages and everything that they need."""
    todo, found = set(names), set()
    while todo:
        name = todo.pop()
        found.add(name)
        todo |= needs(name) - found
    return found


def test_everything_that_the_check_imports_is_there_or_carried() -> None:
    """What the suite itself needs, as far as the check imports it, is carried, asked of the machine, or needed by a
    package that is asked of it. What those need in turn depends on their versions, and does not count.
    """
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=REPO, capture_output=True, text=True, check=True)
    owners = importlib.metadata.packages_distributions()
    loaded = {canonicalize_name(owner) for module in json.loads(done.stdout) for owner in owners.get(module, [])}
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    needed = loaded & {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    assert {"torch", "pydantic"} <= needed, "the check imports what this test is about"
    (asked,) = re.findall(r"machine that has PyTorch .*? with (.*?), and\s+reaches no", PAGE.read_text(), re.DOTALL)
    machine = {"torch", *re.split(r",\s+|\s+and\s+", asked)}
    there = machine.union(*map(needs, machine))
    script = (REPO / "tools" / "gpu_wheels.sh").read_text()
    carried = set(re.search(r"^packages=\((.*?)\)$", script, re.MULTILINE)[1].split())
    missing = (needed - there - carried) | (closure(carried) - carried - closure(machine))
    assert not missing, f"add {sorted(missing)} to tools/gpu_wheels.sh, or to what docs/gpu.md asks of the machine"
