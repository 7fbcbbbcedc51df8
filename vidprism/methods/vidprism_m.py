"""VidPrism-M: the VidPrism head on the features of a VideoMAE encoder (Table 2).

The same head and options as VidPrism-C. Two frames make one time step there, so the rates are of time steps: clips of
16 frames have 8 of them, and rate 16 is refused. The paper gives no more of it than its numbers, and the released code
(`videomoe_mae.py`) expects token features that the published encoder does not return.
"""

from __future__ import annotations

from typing import Any

from vidprism.config import ConfigError
from vidprism.methods import Task, vidprism_c

LABEL = "VidPrism-M"
TRAINED = True
DEFAULTS = vidprism_c.DEFAULTS
batch_terms = vidprism_c.batch_terms


def resolve(options: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """The paper's preset, overridden by `options`; see `vidprism_c.resolve`."""
    return vidprism_c.resolve(options, n_steps)


def build(task: Task, reading: str, rates: list[int], **switches: Any) -> vidprism_c.VidPrismC:
    """The head for the task.

    Raises:
        ConfigError: see `vidprism_c.build`; or the text loss is on and the encoder knows no text.
    """
    if switches.get("lambda_text", 0) > 0 and task.text_features_CD is None:
        raise ConfigError(
            "params.yaml: methods.vidprism_m: lambda_text needs class texts, which VideoMAE does not have; set it to 0"
        )
    return vidprism_c.build(task, reading, rates, **switches)
