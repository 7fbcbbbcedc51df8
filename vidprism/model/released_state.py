"""Weights of the authors' released head (Lrrrr549/VidPrism, commit 4373386), under our parameter names.

Shapes: N experts, D width, P gates, H hidden width of a gate, K taps of a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vidprism.model.vidprism import VidPrismHead

_DBI = "dynamic_interaction."
_STREAM_PREFIXES = {  # ours -> released, for stream i
    "aggregators.{i}.": "pooling_layers.{i}.",
    "experts.{i}.attn.in_proj.": "mote.experts.{i}.attn.in_proj_",
    "experts.{i}.attn.out_proj.": "mote.experts.{i}.attn.out_proj.",
    "experts.{i}.ln_1.": "mote.experts.{i}.ln_1.",
    "experts.{i}.ln_2.": "mote.experts.{i}.ln_2.",
    "experts.{i}.fc_1.": "mote.experts.{i}.ffn.0.",
    "experts.{i}.fc_2.": "mote.experts.{i}.ffn.2.",
}
_PREFIXES = {
    "combination.query": "mote.readout_gate.global_query",
    "combination.attn.in_proj.": "mote.readout_gate.attn.in_proj_",
    "combination.attn.out_proj.": "mote.readout_gate.attn.out_proj.",
    "readout_norm.": "mote.readout_gate.ln.",
    "classifier.": "head.",
    "projection.": "projection_head.",
}


def released_head(state: Mapping[str, Tensor], rates: Sequence[int]) -> VidPrismHead:
    """The released reading with the weights of an authors' checkpoint (Lrrrr549/VidPrism 4373386).

    Args:
        state: name -> tensor; the head's part of the checkpoint.
        rates: the rates it was trained with.

    Raises:
        ValueError: a parameter is missing, unknown or of another shape.
    """
    if "head.weight" not in state:
        raise ValueError("not a released VidPrism state: 'head.weight' (the classifier) is missing")
    n_classes, dim = state["head.weight"].shape
    head = VidPrismHead(dim, n_classes, rates, reading="released")
    head.load_state_dict(convert(state, head))
    return head


def convert(state: Mapping[str, Tensor], head: VidPrismHead) -> dict[str, Tensor]:
    """The state dict of `head` (released reading) from a released state.

    Gates from a stream to itself, and all of them where no stream is linked, exist in the release but are
    never used: they are left out.

    Raises:
        ValueError: a parameter is missing, unknown or of another shape.
    """
    own = head.state_dict()
    names = {name: _released_name(name, len(head.rates)) for name in own if not name.startswith("interaction.")}
    shapes = {theirs: own[ours].shape for ours, theirs in names.items()}
    shapes["mote.readout_gate.global_query"] = torch.Size((1, 1, head.dim))
    _check(state, shapes | _interaction_shapes(head))
    converted = {ours: state[theirs].reshape(own[ours].shape) for ours, theirs in names.items()}
    return converted | _interaction(state, head)


def _released_name(name: str, n_experts: int) -> str:
    prefixes = _PREFIXES | {
        ours.format(i=i): theirs.format(i=i) for i in range(n_experts) for ours, theirs in _STREAM_PREFIXES.items()
    }
    ours = next(prefix for prefix in prefixes if name.startswith(prefix))
    return prefixes[ours] + name.removeprefix(ours).removesuffix("_1D")


def _interaction_shapes(head: VidPrismHead) -> dict[str, torch.Size]:
    dbi, D = head.interaction, head.dim
    if not dbi.links:
        return {}
    H = dbi.gates.w2_PH.shape[1]
    shapes = {"slow2fast.proj.weight": (D, D, 1), "slow2fast.proj.bias": (D,)}
    for i, j in zip(dbi.gates.first, dbi.gates.second, strict=True):
        gate = f"score_mlps.{i * len(head.rates) + j}"
        shapes |= {
            f"{gate}.0.weight": (H, 2 * D),
            f"{gate}.0.bias": (H,),
            f"{gate}.2.weight": (1, H),
            f"{gate}.2.bias": (1,),
        }
    for i, j in dbi.links:
        if head.rates[i] < head.rates[j]:
            shapes[f"fast2slow_ops.{i}->{j}.tconv.weight"] = (D, D, 5)
    return {_DBI + name: torch.Size(shape) for name, shape in shapes.items()}


def _interaction(state: Mapping[str, Tensor], head: VidPrismHead) -> dict[str, Tensor]:
    dbi = head.interaction
    if not dbi.links:
        return {}
    index = [i * len(head.rates) + j for i, j in zip(dbi.gates.first, dbi.gates.second, strict=True)]

    def gates(part: str) -> Tensor:
        return torch.stack([state[f"{_DBI}score_mlps.{k}.{part}"] for k in index])

    converted = {
        "gates.w1_PDH": gates("0.weight").transpose(1, 2),
        "gates.b1_PH": gates("0.bias"),
        "gates.w2_PH": gates("2.weight").squeeze(1),
        "gates.b2_P": gates("2.bias").squeeze(1),
    }
    for i, j in dbi.links:
        message = f"messages.{dbi.message_of[i, j]}"
        if head.rates[i] > head.rates[j]:
            converted[f"{message}.weight"] = state[f"{_DBI}slow2fast.proj.weight"].squeeze(2)
            converted[f"{message}.bias"] = state[f"{_DBI}slow2fast.proj.bias"]
        else:
            converted[f"{message}.weight_DKD"] = state[f"{_DBI}fast2slow_ops.{i}->{j}.tconv.weight"].transpose(1, 2)
    return {f"interaction.{name}": tensor for name, tensor in converted.items()}


def _check(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    missing = [name for name in shapes if name not in state]
    unknown = [name for name in state if name not in shapes and not name.startswith(_DBI)]
    wrong = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}"
        for name, shape in shapes.items()
        if name in state and state[name].shape != shape
    ]
    found = {"missing": missing, "unknown": unknown, "of another shape": wrong}
    problems = "; ".join(f"{what}: {_shorten(names)}" for what, names in found.items() if names)
    if problems:
        raise ValueError(f"not a released VidPrism state for these rates and this width; {problems}")


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
