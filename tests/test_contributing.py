"""CONTRIBUTING.md shows how a method is added: followed as written, in a copy of the tree."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vidprism.config import load_config
from vidprism.config.rows import GROUPS, rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## Add a method") : TEXT.index("## Add a dataset")]


def test_a_method_is_added_as_written(tmp_path: Path) -> None:
    for folder in ("vidprism", "tests", "tools", ".dvc"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp"))
    for file in ("params.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / file, tmp_path / file)
    method, formula = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "vidprism/methods/max_pool.py").write_text(method, encoding="utf-8")
    (tmp_path / "vidprism/complexity/max_pool.py").write_text(formula, encoding="utf-8")
    (command,) = re.findall(r"```\npython (-m pytest .*?)\n```", SECTION)
    words = [sys.executable, *command.split(), "tests/complexity", "-vv"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("PASSED") >= 15, "the conformance tests found it"

    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    entry, controls, variant = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    text = text.replace("methods:\n", entry, 1)
    old = re.search(r"    methods: &methods\n      controls: .*\n", text)[0]
    text = text.replace(old, controls, 1).replace("  default: {}\n", f"  default: {{}}\n{variant}", 1)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    names = "from vidprism.config import load_config; from vidprism.config.rows import rows; c = load_config('mini');"
    program = f"{names} print([*rows(c, 'closed_set'), *rows(c, 'few_shot'), *rows(c, 'ablations')])"
    shown = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    added = set(yaml.safe_load(shown.stdout)) - {key for g in GROUPS for key in rows(load_config("mini", ROOT), g)}
    assert added == {"max_pool", "max_pool-mini_clip-8f", "max_pool-mini_clip-32f", "rates_2_32"}
