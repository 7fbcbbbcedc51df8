"""The VideoMAE backbone: published checkpoints against a slow version of their equations, positions, clear errors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from vidprism import backbones, methods
from vidprism.backbones import videomae
from vidprism.config import BackboneConfig, ConfigError
from vidprism.methods import Task

D, LAYERS, HEADS, PATCH, SIDE, FRAMES = 96, 4, 4, 8, 48, 16  # of the toy model
MODEL = "toy"
SHAPE = {"image_size": SIDE, "patch_size": PATCH, "tubelet_size": 2, "frames": FRAMES, "mlp_ratio": 4}


@pytest.fixture(autouse=True)
def toy(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the published form beside the package's own, small enough for the loops below."""
    folder = tmp_path_factory.mktemp("models")
    for path in videomae._MODELS.glob("*videomae*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    shape = {**SHAPE, "width": D, "layers": LAYERS, "heads": HEADS}
    (folder / f"{MODEL}.json").write_text(json.dumps({"video_cfg": shape}))
    monkeypatch.setattr(videomae, "_MODELS", folder)


def published(seed: int = 0, distilled: bool = True) -> dict[str, torch.Tensor]:
    """Random weights under the names of the V2 release: an encoder with its classifier, or with its decoder."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(*shape, generator=rng)

    state = {"patch_embed.proj.weight": draw(D, 3, 2, PATCH, PATCH), "patch_embed.proj.bias": draw(D)}
    for i in range(LAYERS):
        shapes = {
            **{f"norm{n}.{kind}": (D,) for n in (1, 2) for kind in ("weight", "bias")},
            "attn.q_bias": (D,),
            "attn.v_bias": (D,),
            "attn.qkv.weight": (3 * D, D),
            "attn.proj.weight": (D, D),
            "attn.proj.bias": (D,),
            "mlp.fc1.weight": (4 * D, D),
            "mlp.fc1.bias": (4 * D,),
            "mlp.fc2.weight": (D, 4 * D),
            "mlp.fc2.bias": (D,),
        }
        state |= {f"blocks.{i}.{name}": draw(*shape) for name, shape in shapes.items()}
    if distilled:
        return {**state, **{f"fc_norm.{k}": draw(D) for k in ("weight", "bias")}, "head.weight": draw(710, D)}
    state |= {f"norm.{k}": draw(D) for k in ("weight", "bias")}
    rest = {
        "decoder.blocks.0.norm1.weight": draw(8),
        "encoder_to_decoder.weight": draw(8, D),
        "mask_token": draw(1, 1, 8),
    }
    return {**{f"encoder.{name}": tensor for name, tensor in state.items()}, **rest}


def slow(state: dict[str, torch.Tensor], clip: torch.Tensor) -> torch.Tensor:
    """One clip (T, S, S, 3) uint8 through the published model, patch by patch and head by head: (T / 2, D)."""
    state = {name.removeprefix("encoder."): tensor.double() for name, tensor in state.items()}
    mean, std = (torch.tensor(v, dtype=torch.double) for v in backbones.NORMALISATIONS["imagenet"])
    pixels, tokens = (clip.double() / 255 - mean) / std, []
    for t in range(0, len(clip), 2):
        for y in range(0, SIDE, PATCH):
            for x in range(0, SIDE, PATCH):
                cube = pixels[t : t + 2, y : y + PATCH, x : x + PATCH].permute(3, 0, 1, 2).flatten()
                tokens.append(state["patch_embed.proj.weight"].flatten(1) @ cube + state["patch_embed.proj.bias"])
    x_ND = torch.stack(tokens) + sinusoids(len(tokens))
    for i in range(LAYERS):
        p = {k.removeprefix(f"blocks.{i}."): v for k, v in state.items() if k.startswith(f"blocks.{i}.")}
        h = F.layer_norm(x_ND, (D,), p["norm1.weight"], p["norm1.bias"], 1e-6)
        bias = torch.cat([p["attn.q_bias"], torch.zeros(D).double(), p["attn.v_bias"]])
        q, k, v = (h @ p["attn.qkv.weight"].T + bias).chunk(3, dim=-1)
        parts = [slice(n * D // HEADS, (n + 1) * D // HEADS) for n in range(HEADS)]
        heads = [((q[:, s] @ k[:, s].T) * (D / HEADS) ** -0.5).softmax(-1) @ v[:, s] for s in parts]
        x_ND = x_ND + torch.cat(heads, dim=-1) @ p["attn.proj.weight"].T + p["attn.proj.bias"]
        h = F.layer_norm(x_ND, (D,), p["norm2.weight"], p["norm2.bias"], 1e-6)
        x_ND = x_ND + F.gelu(h @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]) @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
    if "norm.weight" in state:
        x_ND = F.layer_norm(x_ND, (D,), state["norm.weight"], state["norm.bias"], 1e-6)
    mean_FD = x_ND.view(len(clip) // 2, -1, D).mean(1)
    if "norm.weight" in state:
        return mean_FD
    return F.layer_norm(mean_FD, (D,), state["fc_norm.weight"], state["fc_norm.bias"], 1e-6)


def sinusoids(n: int) -> torch.Tensor:
    """Position n, dimension d: sine (even d) or cosine of n / 10000 ** (2 (d // 2) / D)."""
    table = np.zeros((n, D))
    for position in range(n):
        for d in range(D):
            angle = position / 10000 ** (2 * (d // 2) / D)
            table[position, d] = np.sin(angle) if d % 2 == 0 else np.cos(angle)
    return torch.from_numpy(table)


def load(path: Path) -> videomae.VideoMAEBackbone:
    return backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", str(path)))


def clips(n: int, frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (n, frames, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(seed)).byte()


def write(path: Path, form: str) -> dict[str, torch.Tensor]:
    """One of the forms in which the weights are published."""
    state = published(distilled=form != "self-supervised")
    if form == "distilled":
        torch.save({"module": state}, path)
    elif form == "fine-tuned":
        torch.save({"model": {f"backbone.{k}": v for k, v in state.items()}}, path)
    elif form == "self-supervised":
        torch.save({"model": state}, path)
    else:
        save_file({f"model.{k}": v for k, v in state.items()}, path)
    return state


@pytest.mark.parametrize("form", ["distilled", "fine-tuned", "self-supervised", "hub.safetensors"])
def test_published_weights_give_what_their_equations_say(tmp_path: Path, form: str) -> None:
    path = tmp_path / form.replace("hub", "weights")
    state, two = write(path, form), clips(2, FRAMES)
    with torch.inference_mode():
        found = load(path).encode_clips(two)
    assert found.shape == (2, FRAMES // 2, D) and found.dtype == torch.float32
    for features, clip in zip(found, two, strict=True):
        torch.testing.assert_close(features.double(), slow(state, clip), atol=2e-4, rtol=1e-4)


def test_positions_are_interpolated_in_time_alone() -> None:
    encoder = videomae.create(MODEL)
    patches, trained = (SIDE // PATCH) ** 2, FRAMES // 2
    table = encoder.positions(trained).view(trained, patches, D)
    torch.testing.assert_close(table.double(), sinusoids(trained * patches).view_as(table), atol=1e-5, rtol=0)
    longer = encoder.positions(2 * trained).view(2 * trained, patches, D)
    for step in range(2 * trained):
        place = min(max((step + 0.5) / 2 - 0.5, 0), trained - 1)  # centre of a time step, as pictures are resized
        low, part = int(place), place - int(place)
        high = min(low + 1, trained - 1)
        torch.testing.assert_close(longer[step], (1 - part) * table[low] + part * table[high], atol=1e-5, rtol=1e-5)


def test_separable_positions_are_of_time_row_and_column() -> None:
    table = videomae.position_table({**SHAPE, "positions": "separable"}, 12).view(8, 6, 6, 12)
    for place in ((0, 0, 0), (3, 1, 5), (7, 5, 2)):
        for part, position in enumerate(place):
            for d in range(4):
                angle = position / 10000 ** (2 * (d // 2) / 4)
                expected = np.sin(angle) if d % 2 == 0 else np.cos(angle)
                assert table[place][4 * part + d].item() == pytest.approx(expected, abs=1e-6)


def test_a_clip_does_not_see_its_neighbours_in_the_batch() -> None:
    backbone, many = backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random")), clips(9, 32)
    with torch.inference_mode():
        together, alone = backbone.encode_clips(many), backbone.encode_clips(many[5:6])
    torch.testing.assert_close(together[5], alone[0], atol=1e-5, rtol=1e-5)
    assert backbone.tubelet == 2 and together.shape == (9, 16, D)


def test_random_weights_are_the_same_every_time() -> None:
    one, two = (backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random")).module for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


def test_normalisation_is_a_choice() -> None:
    own, forced, same = (
        backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random", name))
        for name in ("checkpoint", "clip", "imagenet")
    )
    with torch.inference_mode():
        a, b, c = (made.encode_clips(clips(1, 8)) for made in (own, forced, same))
    assert torch.equal(a, c) and not torch.allclose(a, b)


def test_blocks_hold_every_parameter_once_and_checkpointing_keeps_gradients() -> None:
    plain, saving = (backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random")) for _ in range(2))
    names = [name for name, _ in plain.blocks()]
    assert names == ["stem", "block_0", "block_1", "block_2", "block_3", "head"]
    held = [id(p) for _, parameters in plain.blocks() for p in parameters]
    assert sorted(held) == sorted(id(p) for p in plain.module.parameters())
    saving.set_grad_checkpointing()
    assert saving.module.model.encoder.layer[0].gradient_checkpointing
    for made in (plain, saving):
        made.module.train()
        made.encode_clips(clips(2, 8)).square().sum().backward()
    for p, q in zip(plain.module.parameters(), saving.module.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_wrong_clips_are_refused() -> None:
    backbone = backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random"))
    with pytest.raises(ConfigError, match="7 frames do not divide"):
        backbone.encode_clips(clips(1, 7))
    with pytest.raises(ValueError, match=r"must be \(B, T, 48, 48, 3\) uint8, not \(1, 8, 32, 32, 3\)"):
        backbone.encode_clips(clips(1, 8)[:, :, :32, :32])
    with pytest.raises(ConfigError, match="has no text tower"):
        backbone.encode_text(["archery"])


def test_wrong_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights at .*absent\.pth; put the checkpoint there"):
        load(tmp_path / "absent.pth")
    path = tmp_path / "other.pth"
    torch.save({"module": {**published(), "blocks.0.norm1.weight": torch.ones(768)}}, path)
    with pytest.raises(ValueError, match=r"holds another model: .*layernorm_before\.weight' is \(768,\) in the file"):
        load(path)
    torch.save({"module": published(), "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(ValueError, match=r"was refused: .*would run code"):
        load(path)
    with pytest.raises(ValueError, match=r"no VideoMAE 'mini_videoma'.* did you mean 'mini_videomae'"):
        backbones.load_backbone(BackboneConfig("videomae", "mini_videoma", "B/16", "random"))


@pytest.mark.parametrize(("frames", "rates"), [(16, [2, 4, 8]), (32, [2, 4, 8, 16])])
def test_vidprism_m_works_at_16_and_32_frames(frames: int, rates: list[int]) -> None:
    backbone = backbones.load_backbone(BackboneConfig("videomae", MODEL, "B/16", "random"))
    with torch.no_grad():
        features = backbone.encode_clips(clips(3, frames))
    head = methods.build("vidprism_m", Task(D, 5, features.shape[1]), {}, seed=0)
    assert methods.resolve("vidprism_m", {}, features.shape[1])["rates"] == rates
    output = head(features)
    assert output.logits.shape == (3, 5) and output.expert_weights.shape == (3, len(rates))


def test_rates_beyond_the_time_steps_and_text_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rates \[16\] do not divide clips of 8 time steps \(frames, or"):
        methods.resolve("vidprism_m", {"rates": [2, 16]}, 8)
    with pytest.raises(ConfigError, match="lambda_text needs class texts, which this backbone does not have"):
        methods.build("vidprism_m", Task(D, 5, 8), {"lambda_text": 0.01}, seed=0)
