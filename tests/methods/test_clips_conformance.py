"""The requirements on methods that see clips: a new file in vidprism/methods/ is tested without a new test."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from tests.methods import clips_world as world
from tests.methods.clips_world import KEYS, B, C, T
from vidprism import methods
from vidprism.config import ConfigError
from vidprism.finetuning.checkpoint import Keeper
from vidprism.finetuning.loop import fit
from vidprism.finetuning.model import EndToEnd
from vidprism.methods._parts.towers import frame_features, frame_tokens, run_block
from vidprism.runtime.threads import run_in_threads
from vidprism.training.recipe import Recipe, Tuning

pytestmark = pytest.mark.slow
# patches after the last attention reach no class token, so adapters of patches there never learn, as published
UNREACHED = {
    "etl": "head.adapters.3.bias_W",
    "m2_clip": "head.adapters.mlp.3.difference.",
    "st_adapter": "head.adapters.mlp.3.",
}
# ETL adds 0.005 of its adapters: too little to see on random pictures
OPTIONS: dict[str, dict[str, object]] = {"etl": {"share": 0.2}}
# adapters that begin as nothing want more, towers less
RATES = {
    "aim": 0.01,
    "etl": 0.03,
    "m2_clip": 0.01,
    "st_adapter": 0.03,
    "maxi": 0.0005,
    "ost": 0.0005,
    "vifi_clip": 0.0005,
}


class Pictures(torch.utils.data.Dataset):
    """Eight random clips, the same in every pass."""

    def __init__(self, n_steps: int = T) -> None:
        self.clips = world.clips(8, n_steps)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.clips[i % 8], i % 8 % C


def model(key: str, seed: int = 0, n_steps: int = T, **options: object) -> EndToEnd:
    made = world.backbone()
    head = methods.build(key, world.task(key, made, n_steps), {**OPTIONS.get(key, {}), **options}, seed)
    return EndToEnd(made, head, Tuning(), seed)


def trained(key: str, updates: int, lr: float, seed: int = 0) -> tuple[EndToEnd, list[float]]:
    fresh = model(key, seed, 4)
    fitted = fit(fresh, Pictures(4), Recipe(updates, 8, lr, 0.0, 0.1), 8, seed, "here")
    return fresh.eval(), fitted.losses.tolist()


def bits(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def shaken(fresh: EndToEnd) -> EndToEnd:
    """Every parameter moved, so that nothing is zero or a copy any more; those of the method more than the towers'."""
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in fresh.named_parameters():
            spread = 0.3 if name.startswith("head.") else 0.05
            parameter.add_(spread * torch.randn(parameter.shape, generator=rng))
    return fresh.eval()


@pytest.mark.parametrize("n_steps", [4, 8])
@pytest.mark.parametrize("key", KEYS)
@torch.no_grad()
def test_forward_gives_a_logit_per_class(key: str, n_steps: int) -> None:
    output = model(key, n_steps=n_steps).eval()(world.clips(B, n_steps))
    assert output.logits.shape == (B, C) and output.logits.isfinite().all()
    assert output.fused.shape[0] == B and output.fused.isfinite().all()


@pytest.mark.parametrize("key", KEYS)
def test_what_is_frozen_stays_and_what_trains_changes(key: str) -> None:
    fresh = model(key)
    before, trains = bits(fresh), {name for name, p in fresh.named_parameters() if p.requires_grad}
    fit(fresh, Pictures(), Recipe(3, 8, 0.01, 0.05, 0.1), 8, 0, "here")
    after = bits(fresh)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= trains and trains
    still = {name for name in trains - changed if not name.startswith(UNREACHED.get(key, "-"))}
    assert not still


@pytest.mark.parametrize("key", [key for key in KEYS if methods.says(key, "STARTS_AS_BACKBONE")])
@torch.no_grad()
def test_it_starts_as_the_untouched_backbone(key: str) -> None:
    made, clips = world.backbone(), world.clips()
    tower, fresh = made.tower(), model(key).eval()
    x = tower.norm_in(frame_tokens(tower, clips))
    for block in tower.blocks:
        x = run_block(block, x)
    plain = x[:, 0].unflatten(0, (B, T))
    allowed = [made.encode_clips(clips), plain, tower.norm_out(plain)]
    found = fresh.head.encode(clips)
    found = found["class_tokens"] if isinstance(found, dict) else found
    assert any(found.shape == a.shape and torch.allclose(found, a, atol=1e-5) for a in allowed)
    torch.testing.assert_close(frame_features(tower, clips), made.encode_clips(clips), rtol=0, atol=1e-5)


@pytest.mark.parametrize("key", KEYS)
@torch.no_grad()
def test_a_clip_scores_the_same_alone_and_in_a_batch(key: str) -> None:
    fresh, clips = shaken(model(key)), world.clips()
    together = fresh(clips).logits
    alone = torch.cat([fresh(clip[None]).logits for clip in clips])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("key", KEYS)
@torch.no_grad()
def test_it_sees_the_order_of_frames_if_it_says_so(key: str) -> None:
    fresh, clips = shaken(model(key)), world.clips()
    forwards, backwards = fresh(clips).logits, fresh(clips.flip(1)).logits
    moved = float((forwards - backwards).abs().max() / forwards.std())
    assert moved > 0.01 if methods.says(key, "TEMPORAL") else moved < 1e-3, moved


@pytest.mark.parametrize("key", KEYS)
def test_it_learns_eight_clips(key: str) -> None:
    fresh, losses = trained(key, 60, RATES.get(key, 0.003))
    with torch.no_grad():
        found = fresh(world.clips(8, 4)).logits.argmax(dim=1)
    assert min(losses[-5:]) < losses[0]
    assert (found == torch.arange(8) % C).float().mean() >= 0.75, (losses[0], losses[-1])


@pytest.mark.parametrize("key", KEYS)
def test_two_threads_give_the_bits_of_one(key: str) -> None:
    """Randomness comes from the generator of the repeat: torch's own one is shared by threads."""

    def of(seed: int, fresh: EndToEnd) -> dict[str, torch.Tensor]:
        fit(fresh, Pictures(), Recipe(3, 4, 0.003, 0.0, 0.1), 4, seed, "here")
        return bits(fresh)

    apart = [of(seed, model(key, seed)) for seed in (0, 1)]
    models = [model(key, seed) for seed in (0, 1)]
    together = run_in_threads(lambda seed: of(seed, models[seed]), [0, 1], 2, "repeat", split=True)
    for one, other in zip(apart, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


DRAWING = [
    key for key in KEYS if key not in ("bike", "etl", "maxi", "ost", "tc_clip", "vifi_clip", "vita_clip", "x_clip")
]


@pytest.mark.parametrize("key", DRAWING)
def test_what_is_drawn_goes_on_after_an_interruption(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, keeper, saved = Recipe(4, 4, 0.003, 0.0, 0.1), Keeper(tmp_path / "state.pt", 1), []

    class Stopped(Exception):
        pass

    def save(self: Keeper, state: dict) -> None:
        written(self, state)
        saved.append(state["step"])
        if len(saved) == 2:
            raise Stopped

    whole, resumed = model(key), model(key)
    assert hasattr(whole.head, "draws") or hasattr(whole.head, "encode_draws")
    fit(whole, Pictures(), recipe, 4, 0, "here")
    with monkeypatch.context() as patched:
        written = Keeper.save
        patched.setattr(Keeper, "save", save)
        with pytest.raises(Stopped):
            fit(model(key), Pictures(), recipe, 4, 0, "here", keeper=keeper)
    assert fit(resumed, Pictures(), recipe, 4, 0, "here", keeper=keeper).updates_done == 2
    one, other = bits(whole), bits(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_all_methods_that_draw_are_listed() -> None:
    draws = {key for key in KEYS if {"draws", "encode_draws"} & set(dir(model(key).head))}
    assert draws == set(DRAWING)


@pytest.mark.parametrize("key", KEYS)
def test_cached_features_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="cached features"):
        methods.check_track(key, "frozen")


@pytest.mark.parametrize("key", KEYS)
def test_other_wishes_about_what_trains_are_refused(key: str) -> None:
    made = world.backbone()
    head = methods.build(key, world.task(key, made), {}, 0)
    for asked in (partial(Tuning, tuning="frozen"), partial(Tuning, layer_decay=0.5), partial(Tuning, strategy="fsdp")):
        with pytest.raises(ConfigError, match="says itself what trains"):
            EndToEnd(made, head, asked())
