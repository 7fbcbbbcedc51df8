"""The CLIP backbone: shapes, gradients, determinism, and clear errors for weights that do not fit."""

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import huggingface_hub
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from vidprism import backbones
from vidprism.backbones.clip import ClipBackbone, create, load_weights
from vidprism.config import BackboneConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_file(create("mini_clip", seed=3).state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def backbone(weights: Path) -> ClipBackbone:
    return backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(weights)))


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
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a complete safetensors file .*dvc repro"):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path)))


def test_a_checkpoint_of_another_shape(tmp_path: Path) -> None:
    state = create("mini_clip").state_dict()
    state["visual.proj"] = torch.zeros(96, 32)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"'visual.proj' is \(96, 32\) in the file and \(96, 64\) in the model"):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path)))


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (BackboneConfig("clap", "mini_clip", "B/16", "x/y"), ValueError, "did you mean 'clip'"),
        (BackboneConfig("clip", "mini_clap", "B/16", "x/y"), ValueError, "did you mean 'mini_clip'"),
        (
            BackboneConfig("clip", "ViT-B-16", "B/16", "openai"),
            ValueError,
            "trained with QuickGELU.*ViT-B-16-quickgelu",
        ),
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
        backbones.load_backbone(spec)


@pytest.mark.slow
def test_a_misspelt_model_is_answered_before_any_model_was_made() -> None:
    """The small models are known from the start, not only after one of them was made."""
    code = "from vidprism.backbones.clip import create; create('mini_clap')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "did you mean 'mini_clip'" in done.stderr


def written(kind: str, folder: Path) -> Path:
    """The weights of `create("mini_clip", seed=3)` in one of the forms in which checkpoints are published."""
    model = create("mini_clip", seed=3)
    state, path = model.state_dict(), folder / f"{kind}.pt"
    if kind == "safetensors":
        save_file(state, path := folder / "other_name.safetensors")
    elif kind == "state_dict":
        torch.save(state, path)
    elif kind == "open_clip":
        torch.save({"epoch": 3, "name": "x", "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        torch.jit.save(torch.jit.script(Archive(state)), str(path))
    return path


class Archive(torch.nn.Module):
    """Tensors at the places of a model, in half precision, with what OpenAI's archive holds beside them."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in state.items():
            self._place(name.split("."), tensor.half())
        self.register_buffer("input_resolution", torch.tensor(48))
        self.context_length = 20
        self._place(["transformer", "resblocks", "0", "attn_mask"], torch.zeros(20, 20))

    def _place(self, names: list[str], tensor: torch.Tensor) -> None:
        module = self
        for name in names[:-1]:
            if name not in module._modules:
                module.add_module(name, Part())
            module = module._modules[name]
        module.register_buffer(names[-1], tensor)

    def forward(self) -> int:
        return self.context_length


class Part(torch.nn.Module):
    """A node of the tree."""

    def forward(self) -> int:
        return 0


@pytest.mark.parametrize("kind", ["safetensors", "state_dict", "open_clip", "torchscript"])
def test_published_forms_of_a_checkpoint(tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    loaded = backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(path)))
    expected = create("mini_clip", seed=3).state_dict()
    for name, tensor in loaded.model.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[name], atol=1e-3 if kind == "torchscript" else 0, rtol=1e-3)


class Runs:
    """An object whose unpickling calls a function."""

    def __reduce__(self) -> tuple:
        return print, ("code of the checkpoint ran",)


def test_a_checkpoint_that_needs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"logit_scale": torch.ones(())}, "args": Runs()}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=r"bad\.pt was refused: .* would run code .*\(print\)") as caught:
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / "bad.pt")))
    assert "weights_only" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert "ran" not in capsys.readouterr().out


def test_an_archive_that_asks_for_more_than_tensors_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps(Runs(), protocol=2))
        archive.writestr("bad/constants.pkl", pickle.dumps((), protocol=2))
    with pytest.raises(ValueError, match=r"not a TorchScript archive of a model \(UnpicklingError: it asks for "):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / "bad.pt")))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [([1, 2], "holds no state dict"), ({"a": 1}, "holds no state dict"), (None, "not a complete checkpoint")],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "x.pt"
    torch.save(content, path) if content else path.write_bytes(b"")
    with pytest.raises(ValueError, match=message):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(path)))


def test_a_tag_in_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    cached = {
        ("timm/vit_base_patch16_clip_224.openai", "open_clip_model.safetensors"): str(weights / "weights.safetensors")
    }
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *of: cached.get(of))
    monkeypatch.setattr(open_clip, "download_pretrained", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(ValueError, match="holds another model"):  # it was found: the small weights do not fit ViT-B/16
        backbones.load_backbone(BackboneConfig("clip", "ViT-B-16-quickgelu", "B/16", "openai"))


def test_without_a_network_the_error_says_which_file_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object) -> None:
        raise FileNotFoundError("no route")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(open_clip, "download_pretrained", offline)
    with pytest.raises(FileNotFoundError) as caught:
        backbones.load_backbone(BackboneConfig("clip", "ViT-B-16-quickgelu", "B/16", "openai"))
    for words in (
        "timm/vit_base_patch16_clip_224.openai",
        "open_clip_model.safetensors",
        "ViT-B-16.pt",
        "data/backbones/",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", sorted(backbones.NORMALISATIONS))
def test_a_forced_normalisation(weights: Path, name: str) -> None:
    own = backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(weights)))
    forced = backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(weights), name))
    mean, std = (torch.tensor(values)[:, None, None] for values in backbones.NORMALISATIONS[name])
    assert torch.equal(forced._mean, mean) and torch.equal(forced._std, std)
    frames = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)
    with torch.no_grad():
        same = torch.equal(own.encode_frames(frames), forced.encode_frames(frames))
    assert same == (name == "clip")  # open_clip's own default, which the small model has, is CLIP's


def test_available_names_files() -> None:
    assert "clip" in backbones.available() and "mini_clip" not in backbones.available()


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>not found</html>", b"\x80\x02garbage", b"version https://git"]
)
def test_a_page_saved_as_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pt is not a (complete )?checkpoint") as caught:
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / "x.pt")))
    assert "weights_only" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_an_archive_with_a_damaged_storage(tmp_path: Path) -> None:
    whole = written("torchscript", tmp_path)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "cut.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if "/data/" in name else content)
    with pytest.raises(ValueError, match=r"cut\.pt is not a TorchScript archive of a model .*copy it again"):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(tmp_path / "cut.pt")))


def with_numbers(folder: Path) -> Path:
    """Weights with the three numbers that OpenAI's files hold beside them."""
    numbers = {"input_resolution": 48, "context_length": 20, "vocab_size": 64}
    state = {**create("mini_clip", seed=3).state_dict(), **{name: torch.tensor(n) for name, n in numbers.items()}}
    save_file(state, folder / "openai.safetensors")
    return folder / "openai.safetensors"


def test_openai_weights_by_path_need_quickgelu(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"openai\.safetensors' were trained with QuickGELU; choose .*-quickgelu"):
        backbones.load_backbone(BackboneConfig("clip", "mini_clip", "B/16", str(with_numbers(tmp_path))))


def test_openai_weights_by_path_load_with_quickgelu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_numbers(tmp_path)
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: {"quick_gelu": True})
    model = create("mini_clip")
    load_weights(model, path, "mini_clip")
    assert torch.equal(model.state_dict()["visual.proj"], create("mini_clip", seed=3).state_dict()["visual.proj"])
