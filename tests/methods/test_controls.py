"""The control methods: what they compute, and what they cannot see."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidprism import methods
from vidprism.config import ConfigError
from vidprism.methods import temporal_conv

ROOT = Path(__file__).resolve().parents[2]
D, C, T = 16, 5, 8
TEXT = torch.eye(C, D)
TASK = methods.Task(D, C, T, TEXT, logit_scale=20.0)
CLIPS = torch.randn(3, T, D, generator=torch.Generator().manual_seed(0))


def test_zero_shot_is_the_scaled_cosine_to_the_mean_frame() -> None:
    frames = torch.stack([TEXT[2], 3 * TEXT[2], TEXT[0]])[None]  # lengths do not count: two votes against one
    logits = methods.build("clip_zeroshot", TASK, {}, 0)(frames).logits[0]
    assert logits.argmax() == 2
    torch.testing.assert_close(logits[2], torch.tensor(20 * 2 / 5**0.5))


def test_zero_shot_needs_texts() -> None:
    with pytest.raises(ValueError, match="texts"):
        methods.build("clip_zeroshot", methods.Task(D, C, T), {}, 0)


@pytest.mark.parametrize("key", ["clip_zeroshot", "mean_pool", "text_linear"])
def test_a_mean_cannot_tell_a_reversed_video(key: str) -> None:
    head = methods.build(key, TASK, {}, 0)
    torch.testing.assert_close(head(CLIPS).logits, head(CLIPS.flip(1)).logits)


@pytest.mark.parametrize("key", ["attentive_probe", "gru", "temporal_conv", "temporal_transformer"])
def test_a_head_that_knows_the_order_can(key: str) -> None:
    head = methods.build(key, TASK, {}, 0)
    with torch.no_grad():  # positions and queries start small
        for name, parameter in head.named_parameters():
            if name in ("positions_TD", "query_D"):
                parameter.mul_(50)
    assert not torch.allclose(head(CLIPS).logits, head(CLIPS.flip(1)).logits, atol=1e-4)


def test_the_temporal_transformer_has_the_published_size() -> None:
    """12 D^2 + 13 D parameters a layer (ActionCLIP, Text4Vis), besides positions, two norms and the
    classifier.
    """
    one, two = (
        sum(p.numel() for p in methods.build("temporal_transformer", TASK, {"layers": n}, 0).parameters())
        for n in (1, 2)
    )
    assert two - one == 12 * D * D + 13 * D


@pytest.mark.parametrize("options", [{"heads": 3}, {"layers": 0}])
def test_the_temporal_transformer_refuses_what_does_not_fit(options: dict) -> None:
    with pytest.raises(ConfigError, match="must"):
        methods.build("temporal_transformer", TASK, options, 0)


@pytest.mark.slow
def test_controls_do_not_load_the_model() -> None:
    """Editing vidprism/model/ must not rerun a control's rows."""
    controls = [key for key in methods.available() if not key.startswith("vidprism")]
    loads = "; ".join(f"methods.load_method({key!r})" for key in controls)
    imports = (
        "import sys; from vidprism import methods; from vidprism.runs import train; from vidprism.search import search"
    )
    program = f"{imports}; {loads}; sys.exit('vidprism.model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_the_probe_from_texts_starts_as_zero_shot() -> None:
    start = methods.build("text_linear", TASK, {}, 0)(CLIPS).logits
    torch.testing.assert_close(start, methods.build("clip_zeroshot", TASK, {}, 0)(CLIPS).logits)
    with pytest.raises(ConfigError, match="texts"):
        methods.build("text_linear", methods.Task(D, C, T), {}, 0)


def test_the_gru_is_that_of_torch() -> None:
    head = methods.build("gru", TASK, {}, 0)
    reference = torch.nn.GRU(D, D, batch_first=True)
    with torch.no_grad():
        for ours, theirs in ((head.of_input, "ih"), (head.of_state, "hh")):
            getattr(reference, f"weight_{theirs}_l0").copy_(ours.weight)
            getattr(reference, f"bias_{theirs}_l0").copy_(ours.bias)
    states, _ = reference(head.norm_in(CLIPS))
    torch.testing.assert_close(head(CLIPS).fused, head.norm_out(states.mean(dim=1)))


def test_the_attentive_probe_is_attention_of_one_query() -> None:
    head = methods.build("attentive_probe", TASK, {"heads": 2}, 0)
    x = head.norm_in(CLIPS) + head.positions_TD
    keys, values = head.key_value(x).chunk(2, dim=-1)
    pooled = []
    for h in range(2):  # heads of width 8, one after the other
        part = slice(8 * h, 8 * h + 8)
        weights = (keys[..., part] @ head.query_D[part] / 8**0.5).softmax(dim=-1)
        pooled.append((weights[..., None] * values[..., part]).sum(dim=1))
    pooled = head.out(torch.cat(pooled, dim=-1))
    torch.testing.assert_close(head(CLIPS).fused, head.norm_out(pooled + head.ffn(head.norm_ffn(pooled))))


def test_the_product_is_the_convolution() -> None:
    convolution, x_BTD = torch.nn.Conv1d(4, 6, 5, padding=2).double(), torch.randn(3, 7, 4, dtype=torch.float64)
    torch.testing.assert_close(temporal_conv.convolved(convolution, x_BTD), convolution(x_BTD.mT).mT)


def test_the_temporal_convolution_sees_kernel_steps_a_layer() -> None:
    """Without the mean over time, the middle step would see 1 + layers * (kernel - 1) steps."""
    head = methods.build("temporal_conv", TASK, {"layers": 1, "kernel": 3}, 0)
    x = head.norm_in(CLIPS)
    by_hand = torch.zeros_like(x)
    weight, bias = head.convolutions[0].weight, head.convolutions[0].bias
    seen = head.norms[0](x)
    for t in range(T):
        for k in range(3):
            if 0 <= t + k - 1 < T:
                by_hand[:, t] += seen[:, t + k - 1] @ weight[:, :, k].T
    fused = head.norm_out((x + torch.nn.functional.gelu(by_hand + bias)).mean(dim=1))
    torch.testing.assert_close(head(CLIPS).fused, fused)


@pytest.mark.parametrize(
    ("key", "options"),
    [("attentive_probe", {"heads": 3}), ("temporal_conv", {"kernel": 4}), ("temporal_conv", {"layers": 0})],
)
def test_a_control_refuses_what_does_not_fit(key: str, options: dict) -> None:
    with pytest.raises(ConfigError, match="must"):
        methods.build(key, TASK, options, 0)
