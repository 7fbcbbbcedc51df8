"""The two tracks by name: `frozen` trains heads on cached features, `tuned` trains backbone and head on frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidprism.config import Config, ConfigError
from vidprism.training.inputs import FrozenInputs, Inputs
from vidprism.training.job import Job, Outcome

Run = Callable[[Job, Any], Outcome]  # the second argument is the track's own kind of `Inputs`


def open_track(config: Config, track: str, dataset: str, n_frames: int, backbone: str) -> tuple[Run, Inputs]:
    """The track's training function and its inputs for a dataset.

    Raises:
        ConfigError: unknown track; see the tracks' inputs for the rest.
    """
    # imported here: a stage on cached features depends on neither the tuned track nor a video reader
    if track == "frozen":
        from vidprism.training import frozen

        return frozen.run_frozen, FrozenInputs(config, dataset, n_frames, backbone)
    if track == "tuned":
        from vidprism.finetuning import inputs
        from vidprism.finetuning import track as tuning

        return tuning.run_tuned, inputs.VideoInputs(config, dataset, n_frames, backbone)
    raise ConfigError(f"params.yaml: protocol.track must be frozen or tuned, not {track!r}")
