"""CONTRIBUTING.md shows how to add a method, a row, a dataset and a backbone: followed as written, in a copy."""

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


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("vidprism", "tests", "tools", ".dvc"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp"))
    for file in ("params.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / file, tmp_path / file)
    return tmp_path


def section(heading: str) -> str:
    return TEXT[TEXT.index(f"## {heading}\n") :].split("\n## ")[0]


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of a language in the section under a heading."""
    return re.findall(rf"```{language}\n(.*?)```", section(heading), re.DOTALL)


def command(heading: str) -> list[str]:
    """The words of the one command that a section tells to run, after `python`."""
    (found,) = re.findall(r"```\npython (-m pytest .*?)\n```", section(heading))
    return found.split()


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_a_method_is_added_as_written(copy: Path) -> None:
    method, formula = blocks("Add a method", "python")
    (copy / "vidprism/methods/max_pool.py").write_text(method, encoding="utf-8")
    (copy / "vidprism/complexity/max_pool.py").write_text(formula, encoding="utf-8")
    shown = run(copy, *command("Add a method"), "tests/complexity", "-vv")
    assert shown.count("PASSED") >= 15, "the conformance tests found it"


def test_rows_are_added_as_written(copy: Path) -> None:
    (copy / "vidprism/methods/max_pool.py").write_text(blocks("Add a method", "python")[0], encoding="utf-8")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    entry, controls = blocks("Add a method", "yaml")
    (variant,) = blocks("Add a row to a table", "yaml")
    old = re.search(r"      controls: &mini_controls\n.*\n.*\n", text)[0]
    text = text.replace("methods:\n", entry, 1).replace(old, controls, 1)
    text = text.replace("  default: {}\n", f"  default: {{}}\n{variant}", 1)
    (copy / "params.yaml").write_text(text, encoding="utf-8")
    names = "from vidprism.config import load_config; from vidprism.config.rows import rows; c = load_config('mini');"
    program = f"{names} print([*rows(c, 'closed_set'), *rows(c, 'few_shot'), *rows(c, 'ablations')])"
    added = set(yaml.safe_load(run(copy, "-c", program)))
    added -= {key for g in GROUPS for key in rows(load_config("mini", ROOT), g)}
    assert added == {"max_pool", "max_pool-mini_clip-8f", "max_pool-mini_clip-32f", "rates_2_32"}


def test_a_dataset_is_added_as_written(copy: Path) -> None:
    reader, builder = blocks("Add a dataset", "python")
    (copy / "vidprism/datasets/diving.py").write_text(reader, encoding="utf-8")
    with (copy / "tools/miniature.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{builder}")
    assert run(copy, *command("Add a dataset"), "-vv").count("PASSED") >= 5, "the conformance tests found it"


def test_a_backbone_is_added_as_written(copy: Path) -> None:
    encoder, cost = blocks("Add a backbone", "python")
    (copy / "vidprism/backbones/resnet.py").write_text(encoder, encoding="utf-8")
    (copy / "vidprism/complexity/resnet.py").write_text(cost, encoding="utf-8")
    lines = [
        "import torch, yaml",
        "from vidprism import backbones, complexity",
        "from vidprism.config import BackboneConfig",
        "spec = BackboneConfig(key='resnet', model='resnet18', size='B/16', weights='random')",
        "found = backbones.load_backbone(spec)",
        "features = found.encode_clips(torch.zeros(2, 3, 224, 224, 3, dtype=torch.uint8))",
        "assert features.shape == (2, 3, found.dim) and features.dtype == torch.float32",
        "parameters = [p for _, block in found.blocks() for p in block]",
        "assert {*map(id, parameters)} == {*map(id, found.module.parameters())}",
        "counted = complexity.count('mean_pool', 'resnet18', 8, key='resnet')",
        "head = complexity.count('mean_pool', 'resnet18', 8, key='resnet', track='frozen').trainable_parameters",
        "assert counted.parameters - head == sum(p.numel() for p in parameters)",
    ]
    run(copy, "-c", "\n".join(lines))
    (entry,) = blocks("Add a backbone", "yaml")
    assert yaml.safe_load(entry)["features"]["given"] == ["resnet"]
