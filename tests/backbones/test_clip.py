"""The CLIP backbone: shapes, gradients, determinism, and clear errors for weights that do not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vidprism import backbones
from vidprism.backbones.clip import ClipBackbone, create
from vidprism.config import BackboneConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_file(create("mini_clip", seed=3).state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def backbone(weights: Path) -> ClipBackbone:
    return backbones.load(BackboneConfig("clip", "mini_clip", "B/16", str(weights)))


def test_frames_and_texts_share_a_space(backbone: ClipBackbone) -> None:
    frames = torch.randint(0, 256, (300, 48, 48, 3), dtype=torch.uint8)
    with torch.inference_mode():
        together, alone = backbone.encode_frames(frames), backbone.encode_frames(frames[7:8])
    texts = backbone.encode_text(["red star", "moving something up"])
    assert (
        together.shape == (300, backbone.dim) and together.dtype == torch.float32 and texts.shape == (2, backbone.dim)
    )
    assert torch.allclose(together[7], alone[0], atol=1e-5)
    assert torch.allclose(texts.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert backbone.image_size == 48 and backbone.logit_scale == pytest.approx(1 / 0.07, rel=1e-4)


def test_gradients_reach_the_first_layer(backbone: ClipBackbone) -> None:
    backbone.encode_frames(torch.zeros(2, 48, 48, 3, dtype=torch.uint8)).sum().backward()
    gradients = [p.grad for p in backbone.module.parameters() if p.grad is not None]
    assert backbone.module.conv1.weight.grad.abs().sum() > 0 and all(g.isfinite().all() for g in gradients)


def test_frames_of_another_size(backbone: ClipBackbone) -> None:
    with pytest.raises(ValueError, match=r"\(N, 48, 48, 3\) uint8, not \(1, 32, 32, 3\)"):
        backbone.encode_frames(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))


@pytest.mark.parametrize("size", [0, 5, 20_000])
def test_a_truncated_checkpoint(weights: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "weights.safetensors").write_bytes((weights / "weights.safetensors").read_bytes()[:size])
    with pytest.raises(ValueError, match=r"weights\.safetensors is no complete safetensors file .*dvc repro"):
        backbones.load(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path)))


def test_a_checkpoint_of_another_shape(tmp_path: Path) -> None:
    state = create("mini_clip").state_dict()
    state["visual.proj"] = torch.zeros(96, 32)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"'visual.proj' is \(96, 32\) in the file and \(96, 64\) in the model"):
        backbones.load(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path)))


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (BackboneConfig("clap", "mini_clip", "B/16", "x/y"), ValueError, "did you mean 'clip'"),
        (BackboneConfig("clip", "mini_clap", "B/16", "x/y"), ValueError, "did you mean 'mini_clip'"),
        (BackboneConfig("clip", "ViT-B-16-quickgelu", "B/16", "openia"), ValueError, "did you mean 'openai'"),
        (
            BackboneConfig("clip", "mini_clip", "B/16", "data/backbones/absent/mini_clip"),
            FileNotFoundError,
            "stage pretrain",
        ),
    ],
)
def test_errors_name_the_way_out(spec: BackboneConfig, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        backbones.load(spec)


def test_available_names_files() -> None:
    assert "clip" in backbones.available() and "mini_clip" not in backbones.available()
