"""The control methods: what they compute, and what they cannot see."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidprism import methods
from vidprism.config import ConfigError

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


@pytest.mark.parametrize("key", ["clip_zeroshot", "mean_pool"])
def test_a_mean_cannot_tell_a_reversed_video(key: str) -> None:
    head = methods.build(key, TASK, {}, 0)
    torch.testing.assert_close(head(CLIPS).logits, head(CLIPS.flip(1)).logits)


def test_the_temporal_transformer_can() -> None:
    head = methods.build("temporal_transformer", TASK, {}, 0)
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
