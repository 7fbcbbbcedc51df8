"""The head as a whole: equal to the loop version under every switch, and when batched with vmap."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from tests.model import loops
from vidprism.model import VidPrismHead
from vidprism.model.readings import CHOICES, PRESETS

B, T, D, C = 3, 16, 16, 5
RATES = (2, 4, 8, 16)
EVERY_ALTERNATIVE = [{name: value} for name, values in CHOICES.items() for value in values]
SETTINGS = [
    {},
    {"reading": "released", "lambda_text": 0},
    *EVERY_ALTERNATIVE,
    {"delta": "1/(r-1)"},
    {"threshold": 0.5},
    {"threshold": 0.5, "gate_scope": "batch_mean", "gate_pairs": "directed", "accumulate": "last"},
    {"softmax_axis": "window", "score_norm": "zscore", "straight_through": True},
    {"slow_rule": "rate8", "shared_conv": True, "accumulate": "last", "threshold": 0.5},
]


def name_of(setting: dict) -> str:
    return ",".join(f"{key}={value}" for key, value in setting.items()) or "paper"


def build(seed: int = 0, rates: tuple[int, ...] = RATES, dtype: torch.dtype = torch.float64, **setting) -> VidPrismHead:
    torch.manual_seed(seed)
    return VidPrismHead(D, C, rates, **setting).to(dtype)


def data(seed: int = 1, dtype: torch.dtype = torch.float64, batch: int = B) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    still = torch.randn(batch, 1, D, generator=generator, dtype=dtype)
    features = still + 0.3 * torch.randn(batch, T, D, generator=generator, dtype=dtype)  # frames resemble each other
    return features, torch.randint(C, (batch,), generator=generator)


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
def test_equals_the_loop_version(setting):
    head = build(**setting)
    features, labels = data()
    fast, slow = head(features, streams=True), loops.forward(head, features)
    for i, rate in enumerate(RATES):
        torch.testing.assert_close(fast.streams["rgsta"][rate], torch.stack([x[i] for x in slow["rgsta"]]))
        torch.testing.assert_close(fast.streams["dbi"][rate], torch.stack([x[i] for x in slow["dbi"]]))
    torch.testing.assert_close(fast.logits, slow["logits"])
    torch.testing.assert_close(fast.fused, slow["fused"])
    torch.testing.assert_close(fast.expert_weights, slow["expert_weights"])
    for name, value in fast.losses.items():
        torch.testing.assert_close(value, slow["losses"][name].to(value), msg=name)
    fast_total, slow_total = head.objective(fast, labels)["total"], loops.objective(head, slow, labels)
    torch.testing.assert_close(fast_total, slow_total)
    for (name, p), q in zip(head.named_parameters(), gradients(head, slow_total), strict=True):
        torch.testing.assert_close(
            torch.autograd.grad(fast_total, p, retain_graph=True, materialize_grads=True)[0], q, msg=name
        )


def gradients(head: VidPrismHead, loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, list(head.parameters()), materialize_grads=True, allow_unused=True)


@pytest.mark.parametrize(
    "setting", [*SETTINGS, {"reading": "released"}, {"rates": (2,)}, {"rates": (4, 16)}], ids=name_of
)
def test_vmap_over_stacked_parameters_equals_a_loop_over_heads(setting):
    heads = [build(seed, dtype=torch.float32, **setting) for seed in range(3)]
    batches = [data(seed, dtype=torch.float32) for seed in range(3)]
    text = torch.randn(C, D)
    stacked, _ = stack_module_state(heads)

    def loss(parameters, features, labels):
        output = functional_call(heads[0], parameters, (features,))
        return heads[0].objective(output, labels, text)["total"]

    features, labels = (torch.stack(parts) for parts in zip(*batches, strict=True))
    together = vmap(loss)(stacked, features, labels)
    apart = torch.stack(
        [head.objective(head(x), y, text)["total"] for head, (x, y) in zip(heads, batches, strict=True)]
    )
    torch.testing.assert_close(together, apart)
    together.sum().backward()
    apart.sum().backward()
    for name, parameter in stacked.items():
        for k, head in enumerate(heads):
            expected = head.get_parameter(name).grad
            got = parameter.grad[k] if parameter.grad is not None else torch.zeros_like(parameter[k])
            assert torch.isfinite(got).all(), name
            torch.testing.assert_close(
                got, torch.zeros_like(got) if expected is None else expected, atol=1e-5, rtol=1e-4, msg=name
            )


def trained_by(head: VidPrismHead, term: str) -> set[str]:
    """Names of the parameters that receive a gradient from one loss term."""
    features, labels = data()
    terms = head.objective(head(features), labels, torch.randn(C, D, dtype=torch.float64))
    grads = gradients(head, terms[term])
    return {name for (name, _), grad in zip(head.named_parameters(), grads, strict=True) if grad.abs().max() > 1e-12}


def without_shift(names: set[str]) -> set[str]:
    """All but the bias of ScoreHead's LayerNorm: a shift of all scores, which no loss can see."""
    return {name for name in names if not name.endswith("score_head.0.bias")}


def test_only_the_ranking_loss_trains_the_score_head():
    head = build()
    names = {name for name, _ in head.named_parameters()}
    scores = without_shift({name for name in names if "score_head" in name})
    assert scores and trained_by(head, "rank") == scores | {name for name in names if "metric_proj" in name}
    for term in ("cls", "div", "gate"):
        assert not trained_by(head, term) & scores
    assert scores <= trained_by(build(straight_through=True), "cls")


def test_which_parameters_each_loss_trains():
    head = build(lambda_text=0.01)
    everything = {name for name, _ in head.named_parameters()}
    projection = {n for n in everything if n.startswith("projection")}
    assert "classifier.weight" in trained_by(head, "cls") and not projection & trained_by(head, "cls")
    assert not any(n.startswith(("combination", "classifier")) for n in trained_by(head, "div"))
    assert "combination.query_1D" in trained_by(head, "gate") and "classifier.weight" not in trained_by(head, "gate")
    assert projection <= trained_by(head, "text") and "classifier.weight" not in trained_by(head, "text")
    assert trained_by(head, "total") == without_shift(everything)


def test_total_is_the_weighted_sum():
    head = build(lambda_rank=0.3, lambda_div=0.2, lambda_gate=0.5)
    features, labels = data()
    terms = head.objective(head(features), labels)
    expected = terms["cls"] + 0.3 * terms["rank"] + 0.2 * terms["div"] + 0.5 * terms["gate"]
    torch.testing.assert_close(terms["total"], expected)


def test_ranking_loss_is_a_training_signal_only():
    head, (features, _) = build(), data()
    assert head(features).losses["rank"] > 0
    assert head.eval()(features).losses["rank"] == 0
    assert build(aggregation="avg")(features).losses["rank"] == 0


@pytest.mark.parametrize("rates", [(2,), (16,), (2, 4), (4, 8, 16), (2, 16)])
def test_any_subset_of_rates(rates):
    features, labels = data()
    for reading in PRESETS:
        head = build(rates=rates, reading=reading)
        output = head(features, streams=True)
        assert output.logits.shape == (B, C) and output.expert_weights.shape == (B, len(rates))
        assert [x.shape for x in output.streams["dbi"].values()] == [(B, T // r, D) for r in rates]
        assert torch.isfinite(head.objective(output, labels, torch.randn(C, D).double())["total"])


def test_streams_hold_the_attention_of_the_figures():
    output = build()(data()[0], streams=True)
    for rate, attention in output.streams["attention"].items():
        assert attention.shape == (B, T // rate, T // rate)
        torch.testing.assert_close(attention.sum(-1), torch.ones(B, T // rate).double())
    per_expert = output.streams["readout"].split([T // r for r in RATES], dim=1)
    torch.testing.assert_close(torch.stack([a.sum(1) for a in per_expert], 1), output.expert_weights)
    gates = output.streams["gates"]
    assert gates.shape == (B, 4, 4)
    torch.testing.assert_close(gates, gates.transpose(1, 2))  # one score for a pair
    assert build()(data()[0]).streams is None


@pytest.mark.parametrize("combination", CHOICES["combination"])
def test_expert_usage_sums_to_one(combination):
    usage = build(combination=combination)(data()[0]).expert_weights
    torch.testing.assert_close(usage.sum(1), torch.ones(B).double())
    assert (usage >= 0).all()


def test_reversed_windows_change_nothing_without_interaction_and_positions():
    head, (features, _) = build(interaction="none").eval(), data()
    torch.testing.assert_close(head(features).logits, head(features.flip(1)).logits)
    for switches in (
        {},
        {"interaction": "none", "pos_emb": "learned"},
        {"interaction": "none", "pos_emb": "sin"},
    ):
        other = build(**switches).eval()
        assert (other(features).logits - other(features.flip(1)).logits).abs().max() > 1e-6


def test_gate_scope_decides_whether_a_video_depends_on_its_batch():
    features, _ = data(batch=16)
    differs = {}
    for scope in CHOICES["gate_scope"]:
        head = build(gate_scope=scope).eval()
        scores = head(features, streams=True).streams["gates"][:, 0, 1]
        head.interaction.threshold = float(scores.detach().median()) + 1e-9
        alone = torch.cat([head(x.unsqueeze(0)).logits for x in features])
        differs[scope] = float((head(features).logits - alone).detach().abs().max())
    assert differs["sample"] < 1e-10 and differs["batch_mean"] > 1e-6


def test_features_of_a_wrong_shape_are_refused():
    head = build()
    with pytest.raises(ValueError, match=r"rates \[8, 16\] do not divide the 12 frames"):
        head(torch.zeros(1, 12, D, dtype=torch.float64))
    with pytest.raises(ValueError, match="features must be"):
        head(torch.zeros(1, T, D + 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="do not divide"):
        head(torch.zeros(1, 0, D, dtype=torch.float64))


@pytest.mark.parametrize("rates", [(), (4, 2), (2, 2), (0, 2), (2.0, 4)])
def test_rates_that_make_no_sense_are_refused(rates):
    with pytest.raises(ValueError, match="strictly increasing"):
        VidPrismHead(D, C, rates)


def test_text_loss_needs_text():
    head = build(reading="released")
    features, labels = data()
    with pytest.raises(ValueError, match="text_features_CD"):
        head.objective(head(features), labels)


@pytest.mark.parametrize(("width", "n_classes", "millions"), [(512, 101, 18.70), (768, 400, 42.25)])
def test_size_of_the_released_head(width, n_classes, millions):
    """The release has gates from each stream to itself on top, four of them, which are never used."""
    head = VidPrismHead(width, n_classes, RATES, reading="released")
    hidden = width // 4
    unused = 4 * (2 * width * hidden + hidden + hidden + 1)
    total = sum(p.numel() for p in head.parameters()) + unused
    assert total / 1e6 == pytest.approx(millions, abs=0.006)
