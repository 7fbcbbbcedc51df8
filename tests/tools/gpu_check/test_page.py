"""docs/gpu.md is what the committed reports and predictions give, and says what was wrong."""

from dataclasses import replace

from tools.gpu_check import page
from tools.gpu_check.lines import Line
from tools.gpu_check.memory import Prediction
from tools.gpu_check.speed import peak_of

FACTS = {
    "device": "NVIDIA X",
    "date": "2026-01-02",
    "torch": "2.14",
    "cuda": "13.0",
    "python": "3.12",
    "toy": False,
    "transformers": "5",
    "accelerate": "1",
    "numpy": "2",
    "cores": 16,
    "cpu": "a CPU",
    "memory_gib": 79.6,
    "code": "0123456789ab",
    "seconds": 400,
}
PREDICTION = Prediction("ViT-B-16-quickgelu", 8, 64, 1, False, 44.8, 1.7)
LINES = [
    Line("right", "right", "logits", 2e-7, "", 1e-4, True),
    Line("right", "right", "gradient", None, "", 1e-4, False, "the value is nan"),
    Line("right", "failed", "fp16", note="RuntimeError: no\nkernel"),
    Line("fast", "goal", "share of the matrix product's speed", 0.37, "", 0.4, False, "64 clips"),
    Line("fast", "measured", peak_of("ViT-B-16-quickgelu", 8, False, 64), 46.25, "GB"),
    Line("fast", "skipped", "a row of Table 2", note="no features"),
]


def test_the_page_is_up_to_date() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.current(), "run `python -m tools.gpu_check.page`"


def test_without_a_report_it_says_so() -> None:
    text = page.render([], [PREDICTION], 75.0)
    assert "No machine with a GPU has run the check yet" in text and "All that the check measures" in text
    assert "| 44.8 | 1.7 | not measured |" in text and "at most 75 GB" in text


def test_a_report_is_shown_whole() -> None:
    text = page.render([page.Report(FACTS, LINES)], [PREDICTION, replace(PREDICTION, clips=8)], 75.0)
    assert "### NVIDIA X, 2026-01-02" in text and "No machine with a GPU" not in text
    assert "| right | 1 of 2 | inf |" in text
    assert "| right | gradient | not a number | 0.0001 | the value is nan |" in text
    assert "| right | fp16 | not a number |" in text and "RuntimeError: no kernel" in text
    assert "(64 clips) | 0.37, **missed** | at least 0.4 |" in text
    assert "| 46.2 (NVIDIA X) |" in text and "| not measured |" in text
    assert "| fast: a row of Table 2 | no features |" in text
