"""What the peers must be by construction: what they become where a part is taken away, and what their parts compute."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from tests.methods import clips_world as world
from vidprism import methods
from vidprism.config import ConfigError
from vidprism.finetuning.model import EndToEnd
from vidprism.methods import dual_path, m2_clip, mote, ost, tc_clip
from vidprism.methods._parts import layers, texts, towers


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(key: str, n_steps: int = 8, **options: object) -> EndToEnd:
    made = world.backbone()
    return EndToEnd(made, methods.build(key, world.task(key, made, n_steps), options, 0)).eval()


def shake(module: torch.nn.Module, spread: float = 0.1) -> None:
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(spread * torch.randn(parameter.shape, generator=rng))


# --- parts ---
def test_the_convolution_over_time_is_torchs() -> None:
    x_BTPA, weight_3A, bias_A = randn(2, 5, 3, 4), randn(3, 4, seed=1), randn(4, seed=2)
    rows = x_BTPA.permute(0, 2, 3, 1).flatten(0, 1)
    expected = F.conv1d(rows, weight_3A.T[:, None], bias_A, padding=1, groups=4)
    expected = expected.unflatten(0, (2, 3)).permute(0, 3, 1, 2)
    torch.testing.assert_close(towers.over_time(x_BTPA, weight_3A, bias_A), expected)


def test_dropout_keeps_the_mean_and_the_share() -> None:
    kept = towers.dropped(torch.ones(1000, 50), torch.rand(1000, 50, generator=torch.Generator().manual_seed(0)), 0.2)
    assert abs(float((kept == 0).float().mean()) - 0.2) < 0.01 and abs(float(kept.mean()) - 1) < 0.01
    assert towers.dropped(kept, None, 0.2) is kept


def test_the_contrast_is_the_divergence_of_each_row() -> None:
    logits_BB, labels = randn(4, 4), torch.tensor([0, 1, 0, 2])
    total = 0.0
    for i in range(4):
        target = torch.tensor([10.0 if labels[i] == labels[j] else 0.0 for j in range(4)]).softmax(0)
        found = logits_BB[i].softmax(0)
        total += sum(float(target[j] * (target[j].log() - found[j].log())) for j in range(4)) / 4
    assert float(texts.contrast(logits_BB, labels)) == pytest.approx(total, rel=1e-5)


# --- MoTE ---
def pair_of_mote_and_text4vis() -> tuple[torch.nn.Module, torch.nn.Module]:
    """MoTE with one expert, and Text4Vis with the same weights."""
    text_CD = F.normalize(randn(5, 64), dim=-1)
    task = methods.Task(64, 5, 8, text_CD, 20.0)
    one = methods.build("mote", task, {"layers": 2, "experts": 1}, 0)
    other = methods.build("text4vis", task, {"layers": 2}, 1)
    shake(one)
    with torch.no_grad():
        one.scale_shift.zero_()
        other.scale_shift.zero_()
        other.transformer.positions_PD.copy_(one.positions_PD)
        for mine, theirs in zip(other.transformer.layers, one.layers, strict=True):
            for name in ("norm1", "norm2", "qkv", "out"):
                getattr(mine, name).load_state_dict(getattr(theirs, name).state_dict())
            mine.widen.weight.copy_(theirs.widen_EDF[0].T)
            mine.narrow.weight.copy_(theirs.narrow_EFD[0].T)
            mine.widen.bias.copy_(theirs.bias_EF[0])
            mine.narrow.bias.copy_(theirs.bias_ED[0])
    return one, other


@torch.no_grad()
def test_mote_with_one_expert_is_text4vis() -> None:
    one, other = pair_of_mote_and_text4vis()
    x = randn(3, 8, 64, seed=3)
    torch.testing.assert_close(one(x).logits, other(x).logits, rtol=1e-4, atol=1e-4)
    drawn = one(x, one.draws(torch.Generator().manual_seed(0), 3))
    torch.testing.assert_close(drawn.logits, drawn.kept["merged"], rtol=1e-4, atol=1e-4)
    labels = torch.tensor([0, 1, 2])
    terms = one.objective(drawn, labels)
    expected = terms["cls"] + 0.5 * terms["merged"] + 0.1 * terms["mse"]
    torch.testing.assert_close(terms["total"], expected)


@torch.no_grad()
def test_motes_experts_are_mixed_by_their_weights_and_drawn_one_by_one() -> None:
    layer = mote.ExpertLayer(16, 1, 3)
    layers.start_small(layer)
    shake(layer, 0.5)
    x = randn(2, 4, 16)

    def alone(widen: torch.Tensor, up: torch.Tensor, narrow: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        y = layer.attended(x)
        h = layer.norm2(y) @ widen + up
        return y + (h * torch.sigmoid(1.702 * h)) @ narrow + down

    parts = (layer.widen_EDF, layer.bias_EF, layer.narrow_EFD, layer.bias_ED)
    for e in range(3):
        share = F.one_hot(torch.tensor(e), 3).float()
        torch.testing.assert_close(layer(x, share), alone(*(part[e] for part in parts)), rtol=1e-4, atol=1e-4)
    share = torch.tensor([0.5, 0.2, 0.3])
    mixed = [sum(float(s) * part[e] for e, s in enumerate(share)) for part in parts]
    torch.testing.assert_close(layer(x, share), alone(*mixed), rtol=1e-4, atol=1e-4)


def test_mote_draws_later_experts_more_often() -> None:
    head = methods.build("mote", methods.Task(64, 2, 8, torch.eye(2, 64), 1.0), {}, 0)
    rng = torch.Generator().manual_seed(0)
    drawn = [head.draws(rng, 1) for _ in range(2000)]
    shares_E = torch.stack([d["drawn_NE"] for d in drawn]).mean(dim=(0, 1))
    torch.testing.assert_close(shares_E, torch.tensor([0.032, 0.087, 0.237, 0.644]), atol=0.02, rtol=0)
    merged = torch.stack([d["merged_NE"] for d in drawn]).flatten(0, 1)
    assert torch.allclose(merged.sum(dim=1), torch.ones(len(merged)))
    assert len(torch.unique((1e4 * merged[:, 0]).round())) == len(mote.TEMPERATURES)


@torch.no_grad()
def test_motes_tower_ends_near_where_it_went() -> None:
    made = world.backbone()
    head = methods.build("mote", world.task("mote", made), {}, 0)
    before = made.module.conv1.weight.clone()
    made.module.conv1.weight.add_(1.0)
    head.finish()
    torch.testing.assert_close(made.module.conv1.weight, before + 0.99)


# --- methods of text ---
@torch.no_grad()
def test_a5_without_vectors_and_layers_is_zero_shot_at_its_temperature() -> None:
    made = world.backbone()
    task = world.task("a5", made)
    head = methods.build("a5", task, {"vectors": 0, "layers": 0}, 0)
    x = randn(3, 8, 64)
    text_CD = made.encode_text(list(world.WORDS))
    expected = F.normalize(x.mean(dim=1), dim=-1) @ text_CD.T / 0.07
    torch.testing.assert_close(head(x).logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a5_puts_its_vectors_around_the_name() -> None:
    made = world.backbone()
    task = world.task("a5", made)
    head, text = methods.build("a5", task, {"vectors": 2}, 0), made.text_tower()
    ids = text.tokenize(world.WORDS)
    for c, words in enumerate(world.WORDS):
        n = int(text.ends(ids)[c]) - 1
        rows = text.embed_tokens(ids[c])
        v = head.vectors_PW
        expected = torch.cat([rows[:1], v[1:3], rows[1 : 1 + n], v[3 + n : 5 + n], rows[1 + n : 2 + n]])
        found = (head.words_CLW + head.learned_CL1 * v[: head.words_CLW.shape[1]])[c, : int(head.end_C[c]) + 1]
        torch.testing.assert_close(found, expected), words


def test_a5_takes_as_many_vectors_as_fit() -> None:
    made = world.backbone()
    task = world.task("a5", made)
    n_name = int(made.text_tower().ends(made.text_tower().tokenize(world.WORDS)).max()) - 1
    head = methods.build("a5", task, {}, 0)
    assert int(head.learned_CL1[0].sum()) == 2 * ((20 - 2 - n_name) // 2)


@torch.no_grad()
def test_vifi_clip_starts_as_zero_shot_with_its_sentence() -> None:
    model, made, clips = built("vifi_clip"), world.backbone(), world.clips()
    text_CD = made.encode_text([f"a photo of a {words}." for words in world.WORDS])
    video_BD = F.normalize(made.encode_clips(clips).mean(dim=1), dim=-1)
    torch.testing.assert_close(model(clips).logits, made.logit_scale * video_BD @ text_CD.T, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_action_clip_averages_the_probabilities_of_a_classs_sentences() -> None:
    model, clips = built("action_clip"), world.clips()
    head = model.head
    features = head.encode(clips)
    video = F.normalize((features + head.transformer(features)).mean(dim=1), dim=-1)
    text = F.normalize(head.sentences.features().flatten(0, 1), dim=-1)
    shares = (head.text.log_scale.exp() * video @ text.T).softmax(dim=1).unflatten(1, (5, 16)).mean(dim=2)
    torch.testing.assert_close(model(clips).logits.softmax(dim=1), shares / shares.sum(dim=1, keepdim=True))


# --- OST ---
def test_transport_has_uniform_marginals_and_prefers_what_is_similar() -> None:
    similarity = randn(2, 3, 8, 4).tanh()
    plan = ost.transport(similarity)
    torch.testing.assert_close(plan.sum(dim=-1), torch.full((2, 3, 8), 1 / 8), atol=1e-5, rtol=0)
    torch.testing.assert_close(plan.sum(dim=-2), torch.full((2, 3, 4), 1 / 4), atol=1e-6, rtol=0)
    even = torch.full((8, 4), 1 / 32)
    assert ((plan * similarity).sum((-1, -2)) > (even * similarity).sum((-1, -2))).all()


def test_transport_stops_changing_long_before_its_last_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = 0.3 * randn(4, 16, 4)
    full = ost.transport(similarity)
    monkeypatch.setattr(ost, "ITERATIONS", 60)
    torch.testing.assert_close(ost.transport(similarity), full, atol=1e-6, rtol=0)


def test_with_one_frame_and_one_sentence_transport_is_the_product() -> None:
    frame, sentence = F.normalize(randn(3, 1, 16), dim=-1), F.normalize(randn(5, 1, 16, seed=1), dim=-1)
    torch.testing.assert_close(ost.match(frame, sentence), 2 * frame[:, 0] @ sentence[:, 0].T)


# --- inside the tower ---
def test_a_default_bias_would_move_st_adapter_from_its_start() -> None:
    """The check of the start finds a wrong initialisation."""
    model, made, clips = built("st_adapter"), world.backbone(), world.clips()
    with torch.no_grad():
        plain = model.head.encode(clips)
        for adapter in model.head.adapters["mlp"]:
            torch.nn.init.uniform_(adapter.up.bias, -0.1, 0.1)
        assert (model.head.encode(clips) - plain).abs().max() > 0.01
    assert made.dim == 64


@torch.no_grad()
def test_stans_parts_over_time_begin_as_nothing() -> None:
    clips = world.clips()
    one, other = built("stan", time="conv"), built("stan", time="attention")
    with torch.no_grad():
        other.head.times_TW.copy_(one.head.times_TW)
    torch.testing.assert_close(one(clips).logits, other(clips).logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_x_clip_without_messages_and_prompt_is_its_layer_over_the_backbone() -> None:
    model, made, clips = built("x_clip"), world.backbone(), world.clips()
    head = model.head
    head.prompt.strength_D.zero_()
    head._block = lambda i, x: towers.run_block(head.tower.blocks[i], x)  # no message joins a frame
    features = made.encode_clips(clips)
    video = features + head.integrate(features + head.positions_TD)
    expected = made.logit_scale * F.normalize(video.mean(dim=1), dim=-1) @ head.text_CD.T
    torch.testing.assert_close(model(clips).logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_dual_paths_frames_begin_as_the_backbones() -> None:
    model, made, clips = built("dual_path"), world.backbone(), world.clips()
    found = model.head.encode(clips)
    torch.testing.assert_close(found["space"], made.encode_clips(clips), rtol=0, atol=1e-5)
    assert found["time"].shape == (4, 2, 64)


def test_dual_path_lays_out_frames_in_reading_order() -> None:
    made = world.backbone()
    head = methods.build("dual_path", world.task("dual_path", made), {}, 0)
    clips = (10 * torch.arange(8, dtype=torch.uint8))[None, :, None, None, None].expand(1, 8, 48, 48, 3)
    pictures = head.grids(clips)
    assert pictures.shape == (1, 2, 48, 48, 3)
    for n, row, column in itertools.product(range(2), range(2), range(2)):
        cell = pictures[0, n, 24 * row : 24 * row + 24, 24 * column : 24 * column + 24]
        assert (cell == 10 * (4 * n + 2 * row + column)).all()
    number_P = head.frame_positions_LW[1:]
    first, right, below = number_P[0], number_P[5], number_P[5 * 6]
    table = dual_path.sine_table(4, 96)
    assert torch.equal(first, table[0]) and torch.equal(right, table[1]) and torch.equal(below, table[2])


def test_dual_path_refuses_pictures_that_do_not_fit() -> None:
    made = world.backbone()
    with pytest.raises(ConfigError, match="do not divide clips of 8 frames"):
        methods.build("dual_path", world.task("dual_path", made), {"grid": 3}, 0)


@torch.no_grad()
def test_m2_clip_sees_no_change_in_the_first_frame_and_in_still_clips() -> None:
    part = m2_clip.Difference(8, 4, 2)
    shake(part)
    still = randn(2, 1, 4, 8).expand(-1, 5, -1, -1)
    nothing = part.up(part.over_space(part.down(torch.zeros(1, 4, 8)).mT.unflatten(2, (2, 2))).flatten(2).mT)
    torch.testing.assert_close(part(still), nothing[:, None].expand(2, 5, -1, -1), rtol=1e-4, atol=1e-5)
    moving = randn(2, 5, 4, 8)
    torch.testing.assert_close(part(moving)[:, :1], nothing[:, None].expand(2, 1, -1, -1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_tc_clip_merges_what_is_alike_and_weighs_by_number() -> None:
    a, b = torch.tensor([1.0, 0]), torch.tensor([0, 1.0])
    tokens = torch.stack([a, a, a, b, a, a, b, b])[None]
    found = tc_clip.merged(tokens, 4)[0]  # every second token joins one of the others that is like it
    assert found.shape == (4, 2)
    assert {tuple(token.round(decimals=4).tolist()) for token in found} == {(1.0, 0.0), (0.0, 1.0)}
    x = randn(3, 20, 6)
    assert tc_clip.merged(x, 20) is x and tc_clip.merged(x, 7).shape == (3, 7, 6)
    near = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [-1, 0]])[None]
    three = tc_clip.merged(near, 3)[0]  # the third is most like the second, and the pair weighs two
    two = tc_clip.merged(near, 2)[0]
    assert any(torch.allclose(token, torch.tensor([1.0, 0.15]), atol=1e-5) for token in three)
    assert any(torch.allclose(token, torch.tensor([1.0, 0.1]), atol=1e-5) for token in two)


@torch.no_grad()
def test_tc_clip_without_context_is_vifi_clip() -> None:
    """With the context out of sight and its layer silent, only the sentence is left."""
    model, other, clips = built("tc_clip"), built("vifi_clip"), world.clips()
    head = model.head
    head.bias_IH2[..., 1] = -1e9
    head.bias_IH2[..., 0] = 0
    attention = head.see_context.module.attn
    for part in (attention.out_proj, head.see_context.module.mlp.c_proj):
        part.weight.zero_()
        part.bias.zero_()
    torch.testing.assert_close(model(clips).logits, other(clips).logits, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_vita_clips_frames_see_the_prompts_of_all_frames() -> None:
    model, clips = built("vita_clip"), world.clips(1)
    changed = clips.clone()
    changed[0, 5] = 255 - changed[0, 5]
    one, two = model.head.encode(clips), model.head.encode(changed)
    assert (one[0, 0] - two[0, 0]).abs().max() > 1e-4


def test_vita_clip_refuses_more_words_than_the_tower_reads() -> None:
    made = world.backbone()
    with pytest.raises(ConfigError, match=r"lower methods\.vita_clip\.words"):
        methods.build("vita_clip", world.task("vita_clip", made), {"words": 18}, 0)


def test_bikes_weights_are_a_mean_over_words() -> None:
    model = built("bike")
    frames = randn(2, 8, 64)
    head, unit = model.head, F.normalize(frames, dim=-1)
    found = head.weights(frames)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(2, 5))
    for c in range(5):
        words = head.words_CLD[c][head.is_word_CL[c] > 0]
        expected = torch.stack([((unit[0] @ word) / 0.01).softmax(0) for word in words]).mean(dim=0)
        torch.testing.assert_close(found[0, c], expected, rtol=1e-4, atol=1e-5)
    assert math.isclose(float(head.text_CD[0].norm()), 1, rel_tol=1e-5)
