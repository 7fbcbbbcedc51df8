"""The two presets: what they say, where they differ, and how a wrong switch is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vidprism.model.readings import CHOICES, PRESETS, RANGES, differences, resolve_switches

DESIGNED = {
    "softmax_axis": "rest",
    "delta": 0.5,
    "score_norm": "raw",
    "slow_rule": "relative",
    "gate_scope": "sample",
    "accumulate": "sum",
    "shared_conv": False,
    "pos_emb": "none",
    "div": "expert_cos",
    "conv_kernel": 5,
    "conv_padding": "zeros",
    "interpolation": "half_pixel",
    "rank_target": "norm+sim",
    "lambda_text": 0,
    "act": "gelu",
}
RELEASED = {
    "alpha": 0.7,
    "tau": 0.1,
    "score_temperature": 0.2,
    "delta": 0.5,
    "threshold": 0.3,
    "heads": 4,
    "ffn_ratio": 2,
    "lambda_rank": 0.1,
    "lambda_div": 0.005,
    "lambda_gate": 0.01,
    "lambda_text": 0.01,
}


def test_presets_hold_the_values_of_the_paper_and_of_the_release():
    paper, released = resolve_switches("paper", {}), resolve_switches("released", {})
    assert {name: paper[name] for name in DESIGNED} == DESIGNED
    assert {name: released[name] for name in RELEASED} == RELEASED


def test_presets_cover_every_switch_and_name_their_sources():
    for preset in PRESETS.values():
        assert set(preset) == set(CHOICES) | set(RANGES)
        for setting in preset.values():
            assert setting.tag in ("stated", "inferred", "release") and len(setting.source) > 10
    assert {setting.tag for setting in PRESETS["released"].values()} == {"release"}


def test_a_value_said_to_come_from_the_release_is_the_released_one():
    for name, setting in PRESETS["paper"].items():
        if setting.tag == "release":
            assert setting.value == PRESETS["released"][name].value, name


def test_differences():
    aggregation, experts, losses = {"softmax_axis"}, {"act", "readout_norm"}, {"div", "lambda_text"}
    interaction = {"slow_rule", "gate_scope", "gate_pairs", "accumulate", "shared_conv"}
    assert set(differences()) == aggregation | interaction | experts | losses


@pytest.mark.parametrize(
    ("reading", "switches", "message"),
    [
        ("papers", {}, "did you mean 'paper'"),
        ("paper", {"aggregatoin": "avg"}, "did you mean 'aggregation'"),
        ("paper", {"aggregation": "rgst"}, "did you mean 'rgsta'"),
        ("paper", {"shared_conv": 1}, "shared_conv: unknown alternative 1; known: False, True"),
        ("paper", {"alpha": 1.5}, "alpha: 1.5 is not a number between 0 and 1"),
        ("paper", {"tau": 0}, "tau: 0 is not a number"),
        ("paper", {"heads": 2.5}, "heads: 2.5 is not an integer"),
        ("paper", {"lambda_gate": True}, "lambda_gate: True is not a number"),
        ("paper", {"lambda_rank": float("nan")}, "lambda_rank: nan is not a number"),
        ("paper", {"delta": "half"}, "or '1/\\(r-1\\)'"),
    ],
)
def test_wrong_switches_are_refused_by_name(reading, switches, message):
    with pytest.raises(ValueError, match=message):
        resolve_switches(reading, switches)


def test_overrides_leave_the_presets_alone():
    assert resolve_switches("paper", {"delta": "1/(r-1)", "tau": 1})["delta"] == "1/(r-1)"
    assert resolve_switches("paper", {})["delta"] == 0.5


def test_readings_import_no_torch():
    """The report reads the presets and must start quickly."""
    code = "import sys, vidprism.model.readings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
