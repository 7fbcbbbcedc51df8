"""The towers step by step give what the model gives, on the model's own parameters."""

import pytest
import torch
from torch.func import vmap

from tests.methods import clips_world
from vidprism.backbones._towers import ClipTower
from vidprism.backbones.clip import create
from vidprism.config import BackboneConfig, ConfigError
from vidprism.methods._parts.texts import Sentences
from vidprism.methods._parts.towers import frame_features

SENTENCES = ["a red ball", "moving something from left to right", "a"]


@torch.no_grad()
def test_the_image_tower_is_the_model() -> None:
    made = clips_world.backbone()
    clips = clips_world.clips()
    torch.testing.assert_close(frame_features(made.tower(), clips), made.encode_clips(clips), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_text_tower_is_the_model() -> None:
    made = clips_world.backbone()
    tower = made.text_tower()
    ids = tower.tokenize(SENTENCES)
    found = tower.encode(tower.embed_tokens(ids), tower.ends(ids))
    unit = torch.nn.functional.normalize(found, dim=-1)
    torch.testing.assert_close(unit, made.encode_text(SENTENCES), rtol=0, atol=1e-5)
    shorter = Sentences.listed(tower, [[s] for s in SENTENCES])  # without the padding behind the end
    assert shorter.ids_CKL.shape[2] < ids.shape[1]
    torch.testing.assert_close(shorter.features()[:, 0], found, rtol=0, atol=1e-5)


@torch.no_grad()
def test_nothing_is_copied() -> None:
    made = clips_world.backbone()
    tower, text = made.tower(), made.text_tower()
    before = frame_features(tower, clips_world.clips())
    assert {id(p) for p in tower.module.parameters()} == {id(p) for p in made.module.parameters()}
    for parameter in (*made.module.parameters(), *text.module.parameters()):
        parameter.mul_(1.1)
    assert not torch.allclose(frame_features(tower, clips_world.clips()), before)
    names = {name for name, _ in made.model.named_parameters() if not name.startswith("visual.")}
    assert {name for name, _ in text.module.named_parameters()} == names


@torch.no_grad()
def test_the_text_tower_runs_under_vmap() -> None:
    tower = clips_world.backbone().text_tower()
    ids = tower.tokenize(SENTENCES)
    x_RCLW = torch.stack([tower.embed_tokens(ids), 2 * tower.embed_tokens(ids)])
    together = vmap(lambda x: tower.encode(x, tower.ends(ids)))(x_RCLW)
    apart = torch.stack([tower.encode(x, tower.ends(ids)) for x in x_RCLW])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_to_a_context_is_torchs() -> None:
    block = clips_world.backbone().tower().blocks[1]
    rng = torch.Generator().manual_seed(0)
    x, context = torch.randn(2, 3, 7, 96, generator=rng), torch.randn(2, 3, 4, 96, generator=rng)
    keys = torch.cat([x, context], dim=2).flatten(0, 1)
    expected = block.module.attn(x.flatten(0, 1), keys, keys, need_weights=False)[0].unflatten(0, (2, 3))
    torch.testing.assert_close(block.attend(x, context), expected, rtol=1e-4, atol=1e-5)
    hidden = torch.zeros(7, 11)
    hidden[:, 7:] = -torch.inf
    torch.testing.assert_close(block.attend(x, context, hidden), block.attend(x), rtol=1e-4, atol=1e-5)


def test_a_copy_of_a_block_has_weights_of_its_own() -> None:
    block = clips_world.backbone().tower().blocks[0]
    copy = block.copy()
    assert not {id(p) for p in block.module.parameters()} & {id(p) for p in copy.module.parameters()}
    x = torch.randn(2, 5, 96)
    torch.testing.assert_close(copy.attend(x), block.attend(x))


def test_gradients_are_the_same_with_recomputed_activations() -> None:
    found = []
    for recompute in (False, True):
        made = clips_world.backbone()
        if recompute:
            made.set_grad_checkpointing()
        frame_features(made.tower(), clips_world.clips(2, 2)).square().mean().backward()
        found.append([p.grad for p in made.module.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1]) > 50
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_texts_are_encoded_again_after_their_weights_change() -> None:
    tower = clips_world.backbone().text_tower()
    sentences = Sentences(tower, clips_world.WORDS, ["a video of {}", "{}"])
    with torch.no_grad():
        first = sentences.features()
        assert sentences.features() is first and first.shape == (5, 2, 64)
        tower.module.text_projection.mul_(2)
        torch.testing.assert_close(sentences.features(), 2 * first)
    assert sentences.features().requires_grad


def test_other_towers_are_refused() -> None:
    with pytest.raises(ValueError, match="vision transformer"):
        ClipTower(create("RN50", device="meta").visual, lambda pictures: pictures)


def test_videomae_has_neither() -> None:
    from vidprism.backbones import load_backbone

    spec = BackboneConfig(key="videomae", model="mini_videomae", size="B/16", weights="random")
    made = load_backbone(spec)
    with pytest.raises(ConfigError, match="needs a CLIP backbone"):
        made.tower()
    with pytest.raises(ConfigError, match="no text tower"):
        made.text_tower()
