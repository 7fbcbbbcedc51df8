"""Which rows are order-blind: their answers stay the same if the frames of a video come in reverse.

A head without interaction, with one expert or only slow-to-fast messages has nothing that knows the order of the
frames: aggregation, self-attention without positions, half-pixel interpolation and every combination of Table 5c treat
a stream and its mirror image alike. `tests/model/test_order.py` holds this to the head itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from vidprism.complexity.vidprism_c import linked
from vidprism.report.tables.identity import Trained
from vidprism.report.tables.layout import Line

MARK = "‡"
NOTE = (
    f"{MARK} Order-blind: this head gives the same answer if the frames come in reverse, because nothing in it knows "
    "their order. It cannot tell a motion from its reversal."
)


def is_order_blind(options: dict[str, Any]) -> bool:
    """Whether a VidPrism head with these complete options gives the same answer for reversed frames.

    What knows the order: positions (`pos_emb`), the first frame of a window (`aggregation: hard`), and the temporal
    convolution of a message from a fast stream to a slow one (Eq. 11).
    """
    fast_to_slow = any(linked(fast, slow, options) for fast, slow in combinations(sorted(options["rates"]), 2))
    return options["pos_emb"] == "none" and options["aggregation"] != "hard" and not fast_to_slow


def order_mark(trained: Trained | None) -> str:
    """The mark behind a row of an order-blind head on an encoder of single frames; an encoder of clips knows the order
    within them.
    """
    of_frames = trained is not None and trained.is_vidprism and trained.steps == trained.frames
    return MARK if of_frames and is_order_blind(trained.options) else ""


def footnotes(lines: Iterable[Line]) -> tuple[str, ...]:
    """What stands below a block that has marked rows."""
    return (NOTE,) if any(line.mark == MARK for line in lines) else ()


def agreement(lines: Iterable[Line]) -> str:
    """How many of the effects that agree with the paper come from order-blind rows, in words; "" if none agrees or no
    row is marked.
    """
    lines = list(lines)
    agreeing = [line.mark == MARK for line in lines for e in line.entries if e.change and e.change.verdict == "agrees"]
    total, blind = len(agreeing), sum(agreeing)
    if not total or not footnotes(lines):
        return ""
    if blind == total:
        return f"Every effect on this page that agrees with the paper ({total}) comes from a row marked {MARK}."
    if not blind:
        return f"No effect on this page that agrees with the paper ({total}) comes from a row marked {MARK}."
    return f"Effects on this page that agree with the paper: {total}. Of these, {blind} from rows marked {MARK}."
