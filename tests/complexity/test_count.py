"""Counts by formula against known values, against the modules' parameters and against torch's counter."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.methods import clips_world
from vidprism import backbones, complexity, methods
from vidprism.backbones import clip as clip_backbone
from vidprism.backbones import videomae as videomae_backbone
from vidprism.complexity import clip, count, videomae, vidprism_c, vidprism_c_released
from vidprism.config import ConfigError
from vidprism.finetuning.model import EndToEnd
from vidprism.model import VidPrismHead, readings

B16, L14 = "ViT-B-16-quickgelu", "ViT-L-14-quickgelu"
RATES = {8: [2, 4, 8], 32: [2, 4, 8, 16]}
METHODS = [key for key in methods.available() if methods.says(key, "SEES") == "features"]
INSIDE = [key for key in methods.available() if methods.says(key, "SEES") == "clips"]


@pytest.mark.parametrize(("model", "gmacs"), [(B16, 17.563), (L14, 81.012)])
def test_known_cost_of_a_frame(model: str, gmacs: float) -> None:
    assert clip.tower(model).frame.macs / 1e9 == pytest.approx(gmacs, abs=1e-3)


@pytest.mark.parametrize(
    ("dim", "frames", "gmacs"), [(512, 8, 0.037), (768, 8, 0.084), (512, 32, 0.178), (768, 32, 0.399)]
)
def test_known_cost_of_the_released_head(dim: int, frames: int, gmacs: float) -> None:
    assert vidprism_c_released.head(dim, 400, frames, RATES[frames]).macs / 1e9 == pytest.approx(gmacs, abs=5e-4)


@pytest.mark.parametrize(("dim", "classes", "millions"), [(512, 101, 18.70), (768, 400, 42.25)])
def test_known_parameters_of_the_released_head(dim: int, classes: int, millions: float) -> None:
    """The released module also holds a gate from each stream to itself, which nothing ever runs."""
    unused_gates = 4 * (2 * dim * (dim // 4) + dim // 4 + dim // 4 + 1)
    held = vidprism_c_released.head(dim, classes, 32, RATES[32]).parameters + unused_gates
    assert held / 1e6 == pytest.approx(millions, abs=5e-3)


@pytest.mark.parametrize(("dim", "frames"), [(512, 8), (768, 32)])
def test_the_paper_readings_head_written_out(dim: int, frames: int) -> None:
    """Eq. 1-15 term by term: the sum of what each equation multiplies."""
    rates, d2 = RATES[frames], dim * dim
    tokens = [frames // r for r in rates]
    n, pairs = len(rates), [(f, s) for f in range(len(rates)) for s in range(f + 1, len(rates))]
    metric = n * frames * d2  # Eq. 1 and 3 share the projection
    scores = n * frames * dim  # Eq. 1
    similarity = sum(frames * r * dim for r in rates)  # Eq. 5
    merging = n * frames * dim  # Eq. 7
    gates = len(pairs) * (2 * dim * (dim // 4) + dim // 4)  # Eq. 9, one a pair
    slow_to_fast = sum(tokens[f] * d2 for f, _ in pairs)  # Eq. 10, on the interpolated stream
    fast_to_slow = sum(tokens[s] * 5 * d2 for _, s in pairs)  # Eq. 11
    experts = sum(t * 4 * d2 + 2 * t * t * dim + t * 4 * d2 for t in tokens)  # Eq. 12-13, hidden width 2 D
    readout = 2 * d2 + sum(tokens) * 2 * d2 + 2 * sum(tokens) * dim  # Eq. 14
    expected = metric + scores + similarity + merging + gates + slow_to_fast + fast_to_slow + experts + readout
    assert vidprism_c.head(dim, 400, frames, rates).macs == expected + dim * 400  # Eq. 15


@pytest.mark.parametrize("model", [B16, L14, "mini_clip"])
def test_tower_against_torchs_counter(model: str) -> None:
    """On the meta device, with attention as plain products: the counter does not see the fused kernels of a CPU."""
    import open_clip

    if model not in open_clip.list_models():
        clip_backbone.create(model)  # tells open_clip about the suite's own configuration
    with torch.device("meta"):
        visual = open_clip.model._build_vision_tower(*_vision(model)).train()
    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    shape = clip.tower(model)
    assert sum(p.numel() for p in visual.parameters()) == shape.frame.parameters
    frames = torch.empty(2, 3, size, size, device="meta")
    assert measured_macs(visual, frames) == pytest.approx(2 * shape.frame.macs, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "frames"), [("videomae_base", 16), ("videomae_large", 32), ("mini_videomae", 8)])
def test_clip_encoder_against_torchs_counter(model: str, frames: int) -> None:
    encoder, _ = videomae_backbone.visual(model)
    shape, side = videomae.tower(model), encoder.shape["image_size"]
    assert sum(p.numel() for p in encoder.parameters()) == shape.view(frames).parameters
    clip = torch.empty(1, frames, 3, side, side, device="meta")
    assert measured_macs(encoder, clip) == pytest.approx(shape.view(frames).macs, rel=1e-6)


def test_known_cost_of_videomae() -> None:
    """ViT-B with 16 frames: 180 GFLOPs and 87 M parameters in the VideoMAE paper's comparison on Kinetics-400, which
    counts multiply-adds, and the classifier.
    """
    view = videomae.tower("videomae_base").view(16)
    assert view.macs / 1e9 == pytest.approx(180, abs=0.7) and view.parameters / 1e6 == pytest.approx(86.2, abs=0.05)


def test_a_clip_encoder_gives_half_the_features() -> None:
    found = count("vidprism_m", "videomae_base", 16, key="videomae")
    head = vidprism_c.head(768, 400, 8, RATES[8])
    assert found.head_macs == head.macs and found.macs == videomae.tower("videomae_base").view(16).macs + head.macs


def _vision(model: str) -> tuple[int, dict, bool]:
    import open_clip

    config = open_clip.get_model_config(model)
    return config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False)


def measured_macs(module: Callable[[Any], object], inputs: torch.Tensor | None) -> float:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(inputs)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("frames", [8, 32])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_count_of_its_parameters(method: str, frames: int) -> None:
    text = clips_world.backbone().text_tower() if "text" in methods.says(method, "USES") else None
    dim, n, words = 96 if text is None else text.dim, len(clips_world.WORDS), clips_world.WORDS
    features_CD = torch.nn.functional.normalize(torch.randn(n, dim), dim=-1)
    task = methods.Task(dim, n, frames, features_CD, 1.0, words, text=text)
    head = methods.build(method, task, {}, seed=0)
    formula = import_module(f"vidprism.complexity.{method}")
    more = {} if text is None else {"text": clip.tower("mini_clip").text}
    cost = formula.head(dim, n, frames, **methods.resolve(method, {}, frames), **more)
    assert cost.parameters == sum(p.numel() for p in head.parameters())
    # A mean over time and a product with one column are no matrix products; the VidPrism head has a test of its own.
    if not method.startswith("vidprism"):
        once = 0 if text is None else measured_macs(lambda _: head.texts(), None)  # for all videos, and not counted
        assert measured_macs(head.eval(), torch.randn(1, frames, dim)) - once == pytest.approx(cost.macs, rel=1e-6)


OWN_PRODUCTS = {"ost": 0.02, "bike": 0.01, "tc_clip": 0.02}  # transport, words and merging: not or roughly counted


@pytest.mark.slow
@pytest.mark.parametrize("frames", [4, 8])
@pytest.mark.parametrize("method", INSIDE)
@torch.no_grad()
def test_every_method_inside_the_tower_has_a_count(method: str, frames: int) -> None:
    """Depth-wise convolutions over time are sums of products to torch, which it does not count."""
    made = clips_world.backbone()
    model = EndToEnd(made, methods.build(method, clips_world.task(method, made, frames), {}, seed=0)).eval()
    options = methods.resolve(method, {}, frames)
    formula = import_module(f"vidprism.complexity.{method}").clips
    found = formula(clip.tower("mini_clip"), len(clips_world.WORDS), frames, **options)
    assert found.trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    of_text = [] if model.text is None else list(model.text.parameters())
    trains_text = bool(of_text) and all(p.requires_grad for p in of_text)
    parts = (model.visual, model.head, *([model.text] if trains_text else []))
    assert found.view.parameters == sum(p.numel() for part in parts for p in part.parameters())
    clips = clips_world.clips(1, frames)
    model(clips)  # the texts that do not change are encoded now
    once = measured_macs(lambda _: model.head.texts(), None) if method == "vita_clip" else 0
    if method == "tc_clip":  # its texts are counted by another formula
        context = model.head.encode(clips)["context"]
        once = measured_macs(lambda _: model.head.texts(context), None)
    executed = measured_macs(model, clips) - once
    assert executed == pytest.approx(found.view.macs, rel=OWN_PRODUCTS.get(method, 0.003))


@pytest.mark.parametrize(
    ("method", "model", "frames", "options", "gmacs", "millions"),
    [
        ("st_adapter", B16, 8, {}, 151.6, 7.11 + 0.31),
        ("st_adapter", B16, 32, {}, 606.5, 7.11 + 0.31),
        ("st_adapter", L14, 8, {}, 686.8, 18.95 + 0.41),
        ("st_adapter", B16, 8, {"places": ["attention", "mlp"]}, 162.7, 14.22 + 0.31),
        ("st_adapter", L14, 32, {"places": ["attention", "mlp"]}, 2902.1, 37.89 + 0.41),
        ("aim", B16, 8, {}, 202.1, 10.66 + 0.31),
        ("aim", B16, 32, {}, 811.2, 10.68 + 0.31),
        ("aim", L14, 8, {}, 933.5, 37.85 + 0.41),
        ("aim", B16, 8, {"input_adapter": True}, None, 14.21 + 0.31),
        ("x_clip", B16, 8, {}, 144.2, 86.19 + 35.45 + 3.16 + 6.70),
        ("x_clip", L14, 8, {}, None, 303.97 + 126.00 + 7.09 + 14.96),
        ("vita_clip", B16, 8, {}, 149.3, 30.16),
        ("vita_clip", B16, 16, {}, 303.2, 30.24),
        ("vita_clip", L14, 8, {}, 679.2, 103.67),
        ("stan", B16, 8, {"time": "attention"}, 205.5, 86.19 + 40.22),
        ("stan", B16, 8, {}, 290.5, None),
        ("stan", L14, 8, {"time": "attention"}, 798.8, 303.97 + 71.45),
        ("stan", L14, 8, {}, 996.2, None),
        ("m2_clip", B16, 8, {}, 162.8, 14.25 + 0.39 + 0.26 + 0.31),
        ("m2_clip", B16, 32, {"places": ["attention", "mlp"]}, 740.7, None),
        ("m2_clip", L14, 8, {}, 725.8, None),
        ("tc_clip", B16, 16, {}, 292.8, None),
        ("tc_clip", L14, 16, {}, 1338.8, None),
        ("dual_path", B16, 32, {}, 191.0, 18.63),
        ("dual_path", L14, 32, {}, 881.3, 64.82),
    ],
)
def test_known_costs_of_peers(
    method: str, model: str, frames: int, options: dict, gmacs: float | None, millions: float | None
) -> None:
    """Counted by hand from the publications' descriptions, 400 classes; millions of trained parameters."""
    found = count(method, model, frames, options=methods.resolve(method, options, frames))
    if gmacs is not None:
        assert found.gmacs == pytest.approx(gmacs, rel=1e-3)
    if millions is not None:
        assert found.trainable_parameters / 1e6 == pytest.approx(millions, abs=0.025)


@pytest.mark.parametrize(
    ("method", "dim", "options", "millions"),
    [("mote", 512, {}, 37.81), ("mote", 768, {"layers": 6}, 127.53), ("text4vis", 768, {}, 42.53)],
)
def test_known_parameters_of_layers_over_frames(method: str, dim: int, options: dict, millions: float) -> None:
    formula = import_module(f"vidprism.complexity.{method}").head
    found = formula(dim, 400, 8, **methods.resolve(method, options, 8)).parameters
    assert (found - 77 * dim) / 1e6 == pytest.approx(millions, abs=0.01)


def variants() -> list[dict]:
    """Every value of every switch that the cost may depend on."""
    names = ("aggregation", "interaction", "slow_rule", "gate_pairs", "shared_conv", "combination", "readout_norm")
    turned = [{name: value} for name in (*names, "pos_emb") for value in readings.CHOICES[name]]
    return [*turned, {"lambda_text": 0.01}, {"ffn_ratio": 4}]


@pytest.mark.parametrize("reading", ["paper", "released"])
@pytest.mark.parametrize("switches", variants(), ids=str)
@pytest.mark.parametrize("rates", [[2, 4, 8, 16], [2, 4], [16]], ids=str)
def test_head_against_torchs_counter(rates: list[int], switches: dict, reading: str) -> None:
    """The suite's head gets the same values with fewer products; the formula minus what is saved is what torch sees."""
    dim, frames = 64, 32
    head = VidPrismHead(dim, 10, rates, reading=reading, **switches).eval()
    cost = vidprism_c.head(dim, 10, frames, rates, reading, **switches)
    assert cost.parameters == sum(p.numel() for p in head.parameters())
    executed = measured_macs(head, torch.randn(1, frames, dim))
    assert executed == pytest.approx(cost.macs - saved(head, dim, frames, rates, reading), rel=1e-6)


def saved(head: VidPrismHead, dim: int, frames: int, rates: list[int], reading: str) -> int:
    """What the suite's modules spare, and what they do without a matrix product (which torch's counter leaves out)."""
    s, tokens = head.switches, [frames // rate for rate in rates]
    less = 0
    if s["aggregation"] == "rgsta":
        twice = frames * dim * dim if reading == "released" else 0  # the released code projects twice
        less += len(rates) * (twice + 2 * frames * dim)  # scores and merging are products and sums
    for i, j in head.interaction.links:
        if rates[i] > rates[j]:  # the convolution runs on the short stream, then a product interpolates
            less += (tokens[j] - tokens[i]) * dim * dim - tokens[i] * tokens[j] * dim
    if s["combination"] in ("global_attn", "local_attn"):
        reads = len(rates) if s["combination"] == "local_attn" else 1
        n, heads = sum(tokens), s["heads"]
        textbook = (1 + 2 * n + reads) * dim * dim + 2 * n * dim
        folded = reads * (2 * dim * dim + dim * dim + dim * dim) + 2 * n * heads * dim
        less += textbook - folded
    return less


def test_count_adds_tower_and_head() -> None:
    found = count("vidprism_c", B16, 8)
    tower, head = clip.tower(B16).frame, vidprism_c.head(512, 400, 8, RATES[8])
    assert found.macs == 8 * tower.macs + head.macs and found.gmacs == pytest.approx(140.541, abs=1e-3)
    assert found.parameters == found.trainable_parameters == tower.parameters + head.parameters
    assert count("vidprism_c", B16, 8, track="frozen").trainable_parameters == head.parameters
    assert count("clip_zeroshot", B16, 8).trainable_parameters == 0


def test_every_kind_of_backbone_has_a_count() -> None:
    for key in backbones.available():
        assert hasattr(import_module(f"vidprism.complexity.{key}"), "tower")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("vidprism_d", B16, 8), "nothing named 'vidprism_d' in vidprism/methods"),
        (("mean_pool", "ViT-B-17", 8), "no model 'ViT-B-17'"),
        (("mean_pool", "RN50", 8), "no vision transformer"),
    ],
)
def test_errors(arguments: tuple, words: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=words):
        count(*arguments)


def test_rates_must_divide_the_frames() -> None:
    with pytest.raises(ValueError, match="must divide clips of 8 time steps"):
        vidprism_c.head(64, 10, 8, [16])


def test_a_method_without_a_formula_says_which_file_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    glob = Path.glob
    found = {"methods": [Path("new.py")]}
    monkeypatch.setattr(Path, "glob", lambda self, pattern: found.get(self.name) or glob(self, pattern))
    assert not complexity.has_formula("new", "clip")
    with pytest.raises(ConfigError, match=r"write vidprism/complexity/new\.py"):
        count("new", "mini_clip", 8)
