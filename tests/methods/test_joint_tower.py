"""Methods that also work where all patches of a clip form one sequence (ViCLIP), and those that say they cannot."""

from types import SimpleNamespace

import pytest
import torch

from tests.methods import clips_world as world
from tests.methods.clips_world import B, C, T
from vidprism import methods
from vidprism.backbones import viclip
from vidprism.config import BackboneConfig, ConfigError
from vidprism.finetuning.model import EndToEnd
from vidprism.methods._parts.towers import frame_features
from vidprism.training.job import task_of
from vidprism.training.recipe import Tuning

KEYS = [key for key in world.KEYS if methods.says(key, "ON_JOINT")]


@pytest.fixture(scope="module")
def backbone() -> viclip.ViClipBackbone:
    made = viclip.build(BackboneConfig(key="viclip", model="mini_clip", size="B/16", weights="random"))
    with torch.no_grad():
        made.module.times_TW.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("key", KEYS)
@torch.no_grad()
def test_a_clip_scores_the_same_alone_and_in_a_batch(key: str, backbone: viclip.ViClipBackbone) -> None:
    head = methods.build(key, world.task(key, backbone, 1), {}, 0)
    model, clips = EndToEnd(backbone, head, Tuning(), 0).eval(), world.clips(B, T)
    together = model(clips).logits
    assert together.shape == (B, C)
    alone = torch.cat([model(clip[None]).logits for clip in clips])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(model(clips.flip(1)).logits, together, atol=1e-3), "the tower itself sees the order"


@torch.no_grad()
def test_etl_adds_to_every_block(backbone: viclip.ViClipBackbone) -> None:
    """Against a slow form of one block, token by token."""
    clips, share = world.clips(2, T), 0.5
    head = methods.build("etl", world.task("etl", backbone, 1), {"share": share}, 0)
    tower, adapters, block = head.tower, head.adapters[0], head.tower.blocks[0]
    x_BLW = tower.norm_in(tower.tokens(clips))
    found = head._block(adapters, block, T, x_BLW)
    plain = x_BLW + block.attend(block.norm1(x_BLW))
    plain = plain + block.feed(block.norm2(plain))
    gelu, n_patches = torch.nn.functional.gelu, (x_BLW.shape[1] - 1) // T
    h_BLA = gelu(adapters.shared(gelu(adapters.down(x_BLW))))
    expected = plain + share * adapters.up(h_BLA)
    for b in range(2):
        for t in range(T):
            for p in range(n_patches):
                at = 1 + t * n_patches + p
                for k in (-1, 0, 1):
                    if 0 <= t + k < T:
                        wide = h_BLA[b, at + k * n_patches].repeat_interleave(adapters.repeats)
                        expected[b, at] += share * adapters.kernel_3W[k + 1] * wide
                expected[b, at] += share * adapters.bias_W
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_etl_with_a_share_of_zero_is_the_backbone(backbone: viclip.ViClipBackbone) -> None:
    clips = world.clips(2, T)
    head = methods.build("etl", world.task("etl", backbone, 1), {"share": 0.0}, 0)
    torch.testing.assert_close(head.encode(clips), frame_features(backbone.tower(), clips), rtol=0, atol=1e-5)


def test_a_method_of_single_frames_says_that_it_cannot(backbone: viclip.ViClipBackbone) -> None:
    inputs = SimpleNamespace(backbone={"name": "mini_viclip"})
    with pytest.raises(ConfigError, match=r"'st_adapter' works on single frames.*'mini_viclip' joins all frames"):
        task_of("st_adapter", {}, "video", inputs, backbone)
