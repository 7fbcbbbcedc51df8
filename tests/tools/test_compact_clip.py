"""A small CLIP packed for git: half precision, only the rows of tokens that pre-training moved, and read back."""

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tools import compact_clip
from vidprism.backbones import clip
from vidprism.backbones.clip import TOKEN_TABLE, TOKENS_KEPT
from vidprism.config import BackboneConfig, load_config

ROOT = Path(__file__).resolve().parents[2]
MOVED = [5, 320, 49407]


@pytest.fixture(scope="module")
def trained() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The table before training, and weights whose table has decayed and has three rows that captions moved."""
    weights = {name: value.clone() for name, value in clip.create("mini_clip", 7).state_dict().items()}
    before = weights[TOKEN_TABLE].clone()
    weights[TOKEN_TABLE] *= 0.93
    weights[TOKEN_TABLE][MOVED] += 0.05
    return before, weights


def test_only_rows_that_training_moved_are_kept(trained: tuple[torch.Tensor, dict]) -> None:
    before, weights = trained
    packed = compact_clip.compact(weights, before)
    assert packed[TOKENS_KEPT].tolist() == MOVED and len(packed[TOKEN_TABLE]) == 3
    assert {value.dtype for name, value in packed.items() if name != TOKENS_KEPT} == {torch.float16}


def test_a_packed_file_is_read_back(trained: tuple[torch.Tensor, dict], tmp_path: Path) -> None:
    before, weights = trained
    path = tmp_path / "mini_clip.safetensors"
    save_file(compact_clip.compact(weights, before), path)
    spec = BackboneConfig(key="clip", model="mini_clip", size="B/16", weights=str(path))
    loaded, again = (clip.build(spec).model.state_dict() for _ in range(2))
    for name, value in weights.items():
        if name != TOKEN_TABLE:
            assert torch.equal(loaded[name], value.half().float()), name
    assert torch.equal(loaded[TOKEN_TABLE][MOVED], weights[TOKEN_TABLE][MOVED].half().float())
    rest = loaded[TOKEN_TABLE][6:320]
    assert torch.equal(rest, again[TOKEN_TABLE][6:320]) and 0.018 < float(rest.std()) < 0.022


def test_the_committed_files_are_the_only_checkpoints_and_small() -> None:
    specs = load_config("full", ROOT).profile.backbones.values()
    weights = {spec.model: ROOT / spec.weights for spec in specs if spec.weights.startswith("data/weights/")}
    assert set(weights) == {"mini_clip", "mini_clip_l"}
    assert all(path.stat().st_size < 3e6 for path in weights.values())
    for model, path in weights.items():
        spec = BackboneConfig(key="clip", model=model, size="B/16", weights=str(path))
        assert clip.build(spec).encode_text(["a star", "a circle"]).shape[0] == 2
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    found = {ROOT / name for name in listed if name.endswith((".safetensors", ".pt", ".pth", ".bin", ".ckpt"))}
    assert found == set(weights.values())
