"""The two readings of VidPrism: every switch of the head, its two values, and the source of each.

`paper` follows Equations 1-22. `released` follows the authors' code (Lrrrr549/VidPrism, commit 4373386) where it
differs. A preset is a list of switch values, and each switch can be changed on its own. Nothing here imports torch.

Tags: `stated`, the paper says so; `inferred`, the equations allow only this, or it is the simplest reading; `release`,
the paper is silent and the value is that of the released code.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = str | int | float | bool


@dataclass(frozen=True)
class Setting:
    """The value of one switch in one reading, how well it is founded (`tag`), and the `source`."""

    value: Value
    tag: str
    source: str


COVERING = "covering"  # a value of `conv_kernel`: as many taps as the stride, so that every token is read
PER_WINDOW = "1/(r-1)"  # the only value of `delta` that is not a number: the rest is averaged, not summed

CHOICES: dict[str, tuple[Value, ...]] = {
    "aggregation": ("rgsta", "hard", "avg", "max"),
    "softmax_axis": ("rest", "kept", "window"),
    "score_norm": ("raw", "zscore"),
    "straight_through": (False, True),
    "rank_target": ("norm+sim", "sim"),
    "interaction": ("dbi", "none", "slow2fast", "fast2slow"),
    "slow_rule": ("relative", "rate8"),
    "gate_scope": ("sample", "batch_mean"),
    "gate_pairs": ("pair", "directed"),
    "accumulate": ("sum", "last"),
    "shared_conv": (False, True),
    "conv_kernel": (5, COVERING),
    "conv_padding": ("zeros", "replicate"),
    "interpolation": ("half_pixel", "corners"),
    "pos_emb": ("none", "learned", "sin"),
    "act": ("gelu", "quickgelu"),
    "combination": ("global_attn", "local_attn", "mlp", "linear", "avg"),
    "readout_norm": (False, True),
    "div": ("expert_cos2", "expert_cos", "sample_1mcos"),
}

_INF = float("inf")
RANGES: dict[str, tuple[float, float]] = {  # inclusive; a temperature of zero divides by zero
    "delta": (0, _INF),
    "alpha": (0, 1),
    "tau": (1e-6, _INF),
    "score_temperature": (1e-6, _INF),
    "threshold": (0, 1),
    "heads": (1, _INF),
    "ffn_ratio": (1, _INF),
    "lambda_rank": (0, _INF),
    "lambda_div": (0, _INF),
    "lambda_gate": (0, _INF),
    "lambda_text": (0, _INF),
}

_RGSTA = "released code, modules/videomoe.py, class RgSTA"
_DBI = "released code, modules/videomoe.py, class DBI"
_EXPERT = "released code, modules/videomoe.py, expert and readout classes"
_TRAIN = "released code, train.py, sum of the losses"


def _stated(value: Value, source: str) -> Setting:
    return Setting(value, "stated", source)


def _inferred(value: Value, source: str) -> Setting:
    return Setting(value, "inferred", source)


def _release(value: Value, source: str) -> Setting:
    return Setting(value, "release", source)


_PAPER: dict[str, Setting] = {
    "aggregation": _stated("rgsta", 'Table 5a, default row; Sec. 3.1: "merging rather than discarding information"'),
    "softmax_axis": _inferred(
        "rest",
        'Eq. 6 names no axis, and the text swaps the shapes of the two sets. "Distributed to the kept set" speaks for '
        "the kept set, but over its single frame a softmax is constantly 1; over the rest it weighs",
    ),
    "delta": _release(0.5, f'Eq. 7: "delta is a scaling factor", no value; {_RGSTA}'),
    "alpha": _release(0.7, f'Eq. 2: "alpha in [0, 1] is a hyperparameter", no value; {_RGSTA}'),
    "tau": _release(0.1, f'Eq. 6: "tau is the temperature coefficient", no value; {_RGSTA}'),
    "score_norm": _stated("raw", "Eq. 2 mixes s_pred and the L2 norm as they are"),
    "straight_through": _inferred(
        False, 'Sec. 3.1: "we select a feature with the highest score", no gradient estimator is named'
    ),
    "rank_target": _stated("norm+sim", "Eq. 17: feature norm plus mean similarity within the window"),
    "score_temperature": _release(0.2, f'Eq. 18: "T_s is a temperature hyperparameter", no value; {_RGSTA}'),
    "interaction": _stated("dbi", "Table 5b, default row; Sec. 3.2: selective bidirectional exchange"),
    "slow_rule": _inferred(
        "relative", 'Sec. 3.2: "any two pathways i and j"; of two rates the larger one is the slow one'
    ),
    "gate_scope": _inferred("sample", "Eq. 8-9 define the score of one video; nothing in them refers to the batch"),
    "gate_pairs": _inferred("pair", "Eq. 9 has one score s_{i<->j}, with one MLP_{i<->j}, for a pair"),
    "accumulate": _stated("sum", 'Sec. 3.2: "accumulate the aggregated information into the target path"'),
    "shared_conv": _inferred(False, "Eq. 10 is written for a pair (i, j), as is the filter network of Eq. 9"),
    "conv_kernel": _release(5, f'Eq. 11: "T-Conv", no kernel; {_DBI}. With stride 8 it reads 8 of 16 tokens'),
    "conv_padding": _release("zeros", f"Eq. 11 says nothing of the ends; {_DBI}"),
    "interpolation": _release("half_pixel", f'Sec. 3.2: "linear interpolation", no convention for the ends; {_DBI}'),
    "threshold": _release(0.3, f'Sec. 3.2: "we set a threshold", no value; {_DBI}'),
    "pos_emb": _inferred("none", "Eq. 12-13 contain none"),
    "act": _stated("gelu", 'Sec. 3.3: "two linear layers and a GELU activation function"'),
    "heads": _release(4, f"Eq. 12 and 14: multi-head, no number; {_EXPERT}"),
    "ffn_ratio": _release(2, f"Eq. 13: no width of the hidden layer; {_EXPERT}"),
    "combination": _stated("global_attn", "Table 5c, default row; Eq. 14"),
    "readout_norm": _inferred(False, "Eq. 14-15 pass the attention's output to the classifier, without a LayerNorm"),
    "div": _stated("expert_cos", 'the sentence before Eq. 19: "it computes the cosine similarity" of each pair'),
    "lambda_rank": _release(0.1, f"Eq. 22: no value; {_TRAIN}"),
    "lambda_div": _release(0.005, f"Eq. 22: no value; {_TRAIN}"),
    "lambda_gate": _release(0.01, f"Eq. 22: no value; {_TRAIN}"),
    "lambda_text": _stated(0.0, 'Sec. 3.4: "we employ four loss functions", none of them on text'),
}

_RELEASED: dict[str, Setting] = {
    name: _release(setting.value, source)
    for source, names in {
        _RGSTA: "aggregation delta alpha tau score_norm straight_through rank_target score_temperature",
        _DBI: "interaction conv_kernel conv_padding interpolation threshold",
        _EXPERT: "pos_emb heads ffn_ratio combination",
        _TRAIN: "lambda_rank lambda_div lambda_gate",
    }.items()
    for name, setting in _PAPER.items()
    if name in names.split()
} | {
    "softmax_axis": _release(
        "window", f"{_RGSTA}: softmax over the window, its kept column divided by itself plus 1e-6"
    ),
    "slow_rule": _release("rate8", f"{_DBI}: slow is a rate of at least 8, and only slow and fast exchange"),
    "gate_scope": _release("batch_mean", f"{_DBI}: the mean score of the batch is held against the threshold"),
    "gate_pairs": _release("directed", f"{_DBI}: one MLP for each ordered pair"),
    "accumulate": _release("last", f"{_DBI}: each message overwrites the one before"),
    "shared_conv": _release(True, f"{_DBI}: one 1x1 convolution serves all slow-to-fast messages"),
    "act": _release("quickgelu", f"{_EXPERT}: x * sigmoid(1.702 x), as in CLIP"),
    "readout_norm": _release(True, f"{_EXPERT}: a LayerNorm after the attention"),
    "div": _release(
        "sample_1mcos", "released code, utils/model_utils.py: 1 - cos over pairs of videos instead of experts"
    ),
    "lambda_text": _release(0.01, f"{_TRAIN}: a fifth loss, cross-entropy over the cosines to the class texts"),
}

PRESETS: dict[str, dict[str, Setting]] = {
    "paper": _PAPER,
    "released": {name: _RELEASED[name] for name in _PAPER},
}


def differences() -> list[str]:
    """The switches whose value differs between the two readings, in the order of the equations."""
    return [name for name, setting in PRESETS["paper"].items() if setting.value != PRESETS["released"][name].value]


def resolve_switches(reading: str, switches: Mapping[str, Any]) -> dict[str, Any]:
    """Every switch with its value: the preset of `reading`, overridden by `switches`.

    Raises:
        ValueError: unknown reading, switch or alternative (names the nearest known one), or a number out of
            range.
    """
    if reading not in PRESETS:
        raise ValueError(f"unknown reading '{reading}'; {_nearest(reading, PRESETS)}")
    values = {name: setting.value for name, setting in PRESETS[reading].items()}
    for name, value in switches.items():
        if name not in values:
            raise ValueError(f"unknown switch '{name}' of VidPrismHead; {_nearest(name, values)}")
        values[name] = _checked(name, value)
    return values


def _checked(name: str, value: Any) -> Value:
    if name in CHOICES:
        known = CHOICES[name]
        if not any(value == choice and isinstance(value, type(choice)) for choice in known):
            raise ValueError(f"switch {name}: unknown alternative {value!r}; {_nearest(value, known)}")
        return value
    if name == "delta" and value == PER_WINDOW:
        return value
    low, high = RANGES[name]
    integer = name in ("heads", "ffn_ratio")
    if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)) or not low <= value <= high:
        kind = "an integer" if integer else "a number"
        also = f" or '{PER_WINDOW}'" if name == "delta" else ""
        raise ValueError(f"switch {name}: {value!r} is not {kind} between {low:g} and {high:g}{also}")
    return value


def _nearest(name: Any, known: Any) -> str:
    names = [str(choice) for choice in known]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(names)}"
