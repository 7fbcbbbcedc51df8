"""pyproject.toml, requirements.lock and environment.yml agree."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import lock

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, MYPY = PYPROJECT["project"], PYPROJECT["tool"]["mypy"]
NEEDS = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LOCK_LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LINE = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)( ; sys_platform [!=]= 'darwin')?$")


def test_the_lock_is_plain_lines() -> None:
    assert all(LINE.match(line) for line in LOCK_LINES), [line for line in LOCK_LINES if not LINE.match(line)]
    assert sum(";" in line for line in LOCK_LINES) == 2, "decord and its fork alone depend on the platform"


@pytest.mark.parametrize("need", NEEDS, ids=lambda n: n.name)
def test_the_lock_satisfies_pyproject(need: Requirement) -> None:
    pins = {canonicalize_name(m[1]): m[2] for line in LOCK_LINES if (m := LINE.match(line))}
    assert canonicalize_name(need.name) in pins, f"run `make lock`: {need.name} is not in requirements.lock"
    assert need.specifier.contains(pins[canonicalize_name(need.name)])


def test_the_lock_is_written_for_every_supported_python() -> None:
    supported = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert [v for v in ("3.10", "3.11", "3.12", "3.13", "3.14") if supported.contains(v)] == list(lock.PYTHONS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"$(foreach v,{' '.join(reversed(lock.PYTHONS))}," in makefile
    assert PROJECT["requires-python"].startswith(f">={MYPY['python_version']},")


@pytest.mark.parametrize("version", lock.PYTHONS)
def test_the_lock_holds_what_a_python_needs(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PYTHONS", (version,))
    needed = lock.closure(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
    pins = {canonicalize_name(m[1]) for line in LOCK_LINES if (m := LINE.match(line))}
    assert "torch" in needed and set(needed) <= pins


def test_conda_installs_the_same_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1] + ".0")
    pip = next(d for d in environment["dependencies"] if isinstance(d, dict))["pip"]
    assert pip == ["-r requirements.lock", "-e ."]


def test_macos_gets_the_fork_of_decord() -> None:
    by_name = {need.name: need for need in NEEDS}
    assert by_name["decord"].marker.evaluate({"sys_platform": "linux"})
    assert not by_name["decord"].marker.evaluate({"sys_platform": "darwin"})
    assert by_name["eva-decord"].marker.evaluate({"sys_platform": "darwin"})


def test_what_is_installed_is_the_lock() -> None:
    wrong = {}
    for line in LOCK_LINES:
        name, version, marker = LINE.match(line).groups()
        if not (marker and "== 'darwin'" in marker):
            found = importlib.metadata.version(name)
            wrong |= {} if found == version else {name: (version, found)}
    assert not wrong


def test_the_audit_is_pinned_and_passes_over_nothing() -> None:
    """Without `--strict`, pip-audit ends with 0 even if it could look up no package at all."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^PIP_AUDIT := \d+\.\d+\.\d+$", text, re.MULTILINE)
    assert re.search(r"pip-audit --strict --requirement requirements.lock", text)
    assert not any(line.startswith("pip-audit") for line in LOCK_LINES)


def test_torch_and_torchvision_are_a_pair() -> None:
    from torchvision import ops  # fails to import when the two do not belong together

    assert ops.nms is not None
