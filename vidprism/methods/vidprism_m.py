"""VidPrism-M: the VidPrism head on the features of a VideoMAE encoder (Table 2).

The same head and options as VidPrism-C. Two frames make one time step there, so the rates are of time steps: clips of
16 frames have 8 of them, and rate 16 is refused. The paper gives no more of it than its numbers, and the released code
(`videomoe_mae.py`) expects token features that the published encoder does not return.
"""

from __future__ import annotations

from typing import Any

from vidprism.methods import vidprism_c

LABEL = "VidPrism-M"
TRAINED = True
DEFAULTS = vidprism_c.DEFAULTS
batch_terms, build = vidprism_c.batch_terms, vidprism_c.build


def resolve(options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """The reading's preset, overridden by `options`; see `vidprism_c.resolve`. VideoMAE knows no text."""
    return vidprism_c.resolve(options, n_steps, has_text=False)
