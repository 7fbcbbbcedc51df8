"""VidPrism-M: the VidPrism head on the features of a VideoMAE encoder (Table 2).

The head and its options are those of VidPrism-C. Two frames make one time step, and the rates count time steps: a clip
of 16 frames has 8 of them, and rate 16 is refused. The paper gives only numbers for this variant, and the released code
(`videomoe_mae.py`) expects token features that the published encoder does not return.
"""

from __future__ import annotations

from typing import Any

from vidprism.methods import vidprism_c

LABEL = "VidPrism-M"
SEARCHED = "lr"
DEFAULTS = vidprism_c.DEFAULTS
batch_terms, build = vidprism_c.batch_terms, vidprism_c.build


def resolve(options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """The reading's preset, overridden by `options`; see `vidprism_c.resolve`. VideoMAE has no text tower."""
    return vidprism_c.resolve(options, n_steps, has_text=False)
