"""The cost of the methods in the paper's Table 1, counted on one scale and compared with the printed values.

Each row is counted as the suite's own method of that name with 400 classes, at the setting of its publication for
Kinetics. Text that is encoded once per dataset is not counted. Where the public description is insufficient,
`NOT_MODELLED` holds the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidprism.complexity import count
from vidprism.complexity.clip import tower
from vidprism.paper import PublishedRow

TOWERS = {"B/16": "ViT-B-16-quickgelu", "L/14": "ViT-L-14-quickgelu"}
NOT_MODELLED = {"FocusVideo": "no code"}
# The usual options, complete, of the methods of other publications: those of `vidprism.methods` need torch, which
# tables do without.
OPTIONS: dict[str, dict[str, Any]] = {
    "st_adapter": {"places": ["mlp"], "dropout": 0.5},
    "aim": {"mlp_scale": 0.5, "input_adapter": False, "drop_path": 0.2, "dropout": 0.5, "label_smoothing": 0.0},
    "action_clip": {"layers": 6},
    "text4vis": {"layers": 6},
    "x_clip": {"prompt_layers": 2, "label_smoothing": 0.1},
    "vita_clip": {"global_prompts": 8, "words": 8, "cls_proj": "frozen"},
    "stan": {"time": "conv", "depth": 4, "drop_path": 0.1},
    "m2_clip": {"places": ["mlp"], "head": "linear", "dropout": 0.5},
    "ost": {"sentences": 4},
    "etl": {"share": 0.005, "lambda_cc": 1.0, "sentences": 2},
    "dual_path": {"grid": 4, "dropout": 0.1},
    "mote": {"layers": 4, "experts": 4, "tuned_share": 0.99, "lambda_merged": 0.5, "lambda_mse": 0.1},
    "a5": {"vectors": 16, "layers": 2},
    "bike": {"layers": 6},
    "maxi": {"label_smoothing": 0.1},
    "tc_clip": {"seeds": 0.3, "context": 96, "label_smoothing": 0.1},
    "vifi_clip": {"label_smoothing": 0.1},
    "vidprism_c": {},
}
OF_SIZE: dict[tuple[str, str], dict[str, Any]] = {("mote", "L/14"): {"layers": 6}}
AGREES = 0.01  # relative difference up to which a printed number counts as equal


@dataclass(frozen=True)
class Check:
    """A printed cost beside the counted one (10^9 multiply-adds of a view, or None), and the verdict."""

    gmacs: float | None
    verdict: str
    printed: float | None

    @property
    def text(self) -> str:
        """The count as shown in a table."""
        return "–" if self.gmacs is None else f"{self.gmacs:.1f}"


def check_published(row: PublishedRow) -> Check:
    """Count the model of a printed row of Table 1 and judge the printed number.

    Raises:
        KeyError: a row whose method has neither a formula nor a reason.
    """
    size, frames, printed = row.labels["size"], int(row.labels["frames"]), row.numbers["gflops"]
    name = row.name.removesuffix(f"-{size}")
    if name in NOT_MODELLED:
        return Check(None, f"not counted: {NOT_MODELLED[name]}", printed)
    shape = tower(TOWERS[size])
    backbone, blind = (n * frames / 1e9 for n in (shape.frame.macs, shape.frame_macs_without_attention))
    method = row.run
    options = OPTIONS[method] | OF_SIZE.get((method, size), {}) | (_rates(frames) if method == "vidprism_c" else {})
    counted = count(method, TOWERS[size], frames, options=options, key=row.encoder).gmacs
    return Check(counted, verdict(printed, counted, backbone, blind), printed)


def _rates(frames: int) -> dict[str, Any]:
    """VidPrism's rates of section 4.1."""
    return {"rates": [2, 4, 8, 16] if frames == 32 else [2, 4, 8]}


def verdict(printed: float | None, counted: float, backbone: float, blind: float) -> str:
    """What a printed number agrees with; all in 10^9 multiply-adds of a view.

    Args:
        counted: the whole model.
        backbone: only the image tower.
        blind: the image tower as counted by a tool that misses attention modules.
    """
    if printed is None:
        return "no number printed"
    if _same(printed, counted):
        return "agrees"
    if _same(printed, blind):
        return "counts no attention"
    if _same(printed, 2 * blind):
        return "twice a count without attention"
    if printed < backbone * (1 - AGREES):
        return "below its own backbone"
    return f"{abs(printed / counted - 1):.0%} {'above' if printed > counted else 'below'}"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= AGREES * b
