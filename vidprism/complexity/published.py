"""The cost of the methods in the paper's Table 1, counted on one scale and compared with the printed values.

Each formula gives what the method adds to CLIP's image tower at 224 px with the 400 classes of Kinetics, from the
method's paper or public code (named at the formula). Text that is encoded once per dataset is not counted. Where the
public description is insufficient, `NOT_MODELLED` holds the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vidprism.complexity import KINETICS_CLASSES, vidprism_c
from vidprism.complexity.clip import Tower, tower
from vidprism.complexity.cost import Cost, linear, products, total, transformer_layer
from vidprism.paper import PublishedRow

TOWERS = {"B/16": "ViT-B-16-quickgelu", "L/14": "ViT-L-14-quickgelu"}
NOT_MODELLED = {
    "STAN-conv": "Kinetics code not public",
    "M²-CLIP": "heads not fully described",
    "ETL-ViCLIP": "no code, and no number printed",
    "FocusVideo": "no code",
    "Ost": "no number printed",
    "DUALPATH": "parts of its code not public",
}
TOWER_ONLY = ("Vita-CLIP",)  # their additions to the tower are not counted
AGREES = 0.01  # relative difference up to which a printed number counts as equal


@dataclass(frozen=True)
class Check:
    """A printed cost beside the counted one (10^9 multiply-adds of a view, or None), the verdict, and whether parts of
    the model are missing from the count.
    """

    gmacs: float | None
    verdict: str
    printed: float | None
    at_least: bool = False

    @property
    def text(self) -> str:
        """The count as shown in a table."""
        return "–" if self.gmacs is None else f"{'≥ ' if self.at_least else ''}{self.gmacs:.1f}"


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
    counted = backbone + ADDED[name](shape, frames).macs / 1e9
    return Check(counted, verdict(printed, counted, backbone, blind), printed, name in TOWER_ONLY)


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


def st_adapter(t: Tower, frames: int) -> Cost:
    """ST-Adapter (NeurIPS 2022, linziyi96/st-adapter): one adapter of width 384 per block, on patch tokens, with a
    depth-wise temporal convolution of three taps.
    """
    width = 384
    adapter = linear(t.patches, t.width, width) + linear(t.patches, width, t.width)
    return (adapter + Cost(t.patches * width * 3, width * 4)).times(t.layers).applied(frames) + _classifier(t.width)


def aim(t: Tower, frames: int) -> Cost:
    """AIM (ICLR 2023, taoyang1122/adapt-image-models): three adapters of a quarter of the width per block, and a second
    pass of the frozen attention, over time.
    """
    width = t.width // 4
    adapters = (linear(t.tokens, t.width, width) + linear(t.tokens, width, t.width)).times(3).applied(frames)
    over_time = Cost(4 * t.tokens * frames * t.width**2 + products(frames, frames, t.width).macs * t.tokens)
    return (adapters + over_time).times(t.layers) + _classifier(t.width)


def temporal_transformer(t: Tower, frames: int) -> Cost:
    """ActionCLIP (arXiv 2109.08472) and Text4Vis (AAAI 2023): six layers over the frames' embeddings, cosines with the
    class texts.
    """
    return transformer_layer(frames, t.dim).times(6) + Cost(t.dim * KINETICS_CLASSES)


def x_clip(t: Tower, frames: int) -> Cost:
    """X-CLIP (ECCV 2022, microsoft/VideoX): in every block one message token per frame, exchanged over time and
    appended to the frame's attention; one layer over the frames; two cross-attention layers from class texts to
    patches.
    """
    message = linear(frames, t.width, t.width).times(5) + products(frames, frames, t.width)
    longer = products(t.tokens + 1, t.tokens + 1, t.width).macs - products(t.tokens, t.tokens, t.width).macs
    appended = Cost((4 * t.width**2 + longer) * frames)
    to_text = linear(t.patches * frames, t.width, t.dim, bias=False)
    texts = linear(KINETICS_CLASSES, t.dim, t.dim).times(2) + linear(t.patches, t.dim, t.dim).times(2)
    feed = linear(KINETICS_CLASSES, t.dim, 4 * t.dim) + linear(KINETICS_CLASSES, 4 * t.dim, t.dim)
    prompt = total(texts, products(KINETICS_CLASSES, t.patches, t.dim), feed).times(2)
    over_time = transformer_layer(frames, t.dim)
    return total((message + appended).times(t.layers), to_text, prompt, over_time, Cost(t.dim * KINETICS_CLASSES))


def mote(t: Tower, frames: int) -> Cost:
    """MoTE (NeurIPS 2024, ZMHH-H/MoTE): four (B) or six (L) layers over the frames, the experts merged into one."""
    return transformer_layer(frames, t.dim).times(4 if t.layers == 12 else 6) + Cost(t.dim * KINETICS_CLASSES)


def at_least_the_tower(t: Tower, frames: int) -> Cost:
    """Vita-CLIP (CVPR 2023): summary and prompt tokens come on top of every block; only the tower is counted here."""
    return Cost()


def vidprism(t: Tower, frames: int) -> Cost:
    """VidPrism in the paper's reading, with the rates of its section 4.1."""
    rates = (2, 4, 8, 16) if frames == 32 else (2, 4, 8)
    return vidprism_c.head(t.dim, KINETICS_CLASSES, frames, rates)


def _classifier(width: int) -> Cost:
    return linear(1, width, KINETICS_CLASSES)


ADDED: dict[str, Callable[[Tower, int], Cost]] = {
    "ST-Adapter": st_adapter,
    "AIM": aim,
    "ActionCLIP": temporal_transformer,
    "Text4Vis": temporal_transformer,
    "X-CLIP": x_clip,
    "Vita-CLIP": at_least_the_tower,
    "MoTE": mote,
    "VidPrism": vidprism,
}
