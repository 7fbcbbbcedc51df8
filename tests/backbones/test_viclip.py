"""ViCLIP: one sequence of all patches of a clip, checked against a slow form, and read from files of both kinds."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from tests.methods import clips_world
from vidprism.backbones import viclip
from vidprism.backbones.clip import create
from vidprism.complexity import count
from vidprism.config import BackboneConfig, ConfigError
from vidprism.methods._parts.towers import frame_features

RANDOM = BackboneConfig(key="viclip", model="mini_clip", size="B/16", weights="random")


@pytest.fixture(scope="module")
def made() -> viclip.ViClipBackbone:
    built = viclip.build(RANDOM)
    with torch.no_grad():
        built.module.times_TW.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    return built


@torch.no_grad()
def slow(made: viclip.ViClipBackbone, clip_TSS3: torch.Tensor) -> torch.Tensor:
    """The feature (D,) of one clip, token by token: patches of every frame with their place and their time, and one
    class token.
    """
    v, tokens = made.module, []
    pixels_T3SS = made._normalised(clip_TSS3)
    side = pixels_T3SS.shape[-1] // v.patch_size[0]
    tokens.append(v.class_embedding + v.positional_embedding[0])
    for t, frame in enumerate(pixels_T3SS):
        for y in range(side):
            for x in range(side):
                p = v.patch_size[0]
                patch = frame[:, y * p : (y + 1) * p, x * p : (x + 1) * p]
                token = (v.conv1.weight * patch).sum(dim=(1, 2, 3))
                tokens.append(token + v.positional_embedding[1 + y * side + x] + v.times_TW[t])
    x_1LW = v.ln_pre(torch.stack(tokens))[None]
    for block in v.transformer.resblocks:
        x_1LW = block(x_1LW)
    return v.ln_post(x_1LW[0, 0]) @ v.proj


@torch.no_grad()
def test_a_clip_is_one_sequence(made: viclip.ViClipBackbone) -> None:
    clips = clips_world.clips(2)
    found = made.encode_clips(clips)
    assert found.shape == (2, 1, made.dim)
    expected = torch.stack([slow(made, clip) for clip in clips])
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_tower_step_by_step_is_the_model(made: viclip.ViClipBackbone) -> None:
    clips = clips_world.clips(3)
    torch.testing.assert_close(frame_features(made.tower(), clips), made.encode_clips(clips), rtol=0, atol=1e-5)
    assert {id(p) for p in made.tower().module.parameters()} == {id(p) for p in made.module.parameters()}


def test_times_train_and_belong_to_a_block(made: viclip.ViClipBackbone) -> None:
    named = [(name, id(p)) for name, parameters in made.blocks() for p in parameters]
    assert ("stem", id(made.module.times_TW)) in named and len(set(named)) == len(list(made.module.parameters()))
    made.encode_clips(clips_world.clips(1)).sum().backward()
    assert made.module.times_TW.grad.abs().max() > 0
    made.module.zero_grad()


def published(made: viclip.ViClipBackbone) -> dict[str, torch.Tensor]:
    """The same weights under the names and in the shapes of the published files."""
    state = {}
    for name, value in made.model.state_dict().items():
        state[re.sub(r"^visual\.", "vision_encoder.", name) if "visual" in name else f"text_encoder.{name}"] = value
    state["vision_encoder.conv1.weight"] = state["vision_encoder.conv1.weight"][:, :, None]
    state["vision_encoder.temporal_positional_embedding"] = state.pop("vision_encoder.times_TW")[None]
    state["temp"] = (-state.pop("text_encoder.logit_scale")).exp()
    return state


@pytest.mark.parametrize("kind", ["the suite's", "published"])
@torch.no_grad()
def test_files_are_read(made: viclip.ViClipBackbone, tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("weights.safetensors" if kind == "the suite's" else "ViCLIP-B.pth")
    if kind == "published":
        torch.save({"model": published(made)}, path)
    else:
        save_file({k: v.contiguous() for k, v in made.model.state_dict().items()}, path)
    spec = BackboneConfig(key="viclip", model="mini_clip", size="B/16", weights=str(path))
    read, clips = viclip.build(spec), clips_world.clips(2)
    torch.testing.assert_close(read.encode_clips(clips), made.encode_clips(clips), rtol=0, atol=1e-5)
    torch.testing.assert_close(read.encode_text(["a star"]), made.encode_text(["a star"]), rtol=0, atol=1e-6)
    assert read.logit_scale == pytest.approx(made.logit_scale, rel=1e-5)


@torch.no_grad()
def test_from_a_clip_it_knows_no_time(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in create("mini_clip", 5).state_dict().items()}, path)
    started = viclip.from_clip(BackboneConfig(key="clip", model="mini_clip", size="B/16", weights=str(path)))
    clips = clips_world.clips(2)
    forwards, backwards = started.encode_clips(clips), started.encode_clips(clips.flip(1))
    # the class token sees the patches of all frames in any order
    torch.testing.assert_close(forwards, backwards, rtol=0, atol=1e-5)
    assert F.cosine_similarity(forwards[0, 0], forwards[1, 0], dim=0) < 0.9999


def test_what_it_cannot_do_is_said(made: viclip.ViClipBackbone) -> None:
    with pytest.raises(ConfigError, match="clips of 8 frames, not of 16"):
        made.encode_clips(clips_world.clips(1, 16))
    with pytest.raises(ValueError, match="single frames"):
        made.encode_frames(clips_world.clips(1)[0])
    with pytest.raises(ValueError, match="must be"):
        made.encode_clips(clips_world.clips(1).float())


def test_costs_at_full_size() -> None:
    assert count("vifi_clip", "viclip_b16", 8, key="viclip").gmacs == pytest.approx(179.6, abs=0.05)
    assert count("vifi_clip", "viclip_l14", 8, key="viclip").gmacs == pytest.approx(826.4, abs=0.05)
    etl = count("etl", "viclip_b16", 8, key="viclip")
    assert etl.trainable_parameters == 8_712_192  # the paper's 8.7 M
