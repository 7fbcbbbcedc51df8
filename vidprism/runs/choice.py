"""What the search chose for a method: its learning rate, the inverse penalty of a logistic regression, or the prompt
set of a method that is not trained.
"""

from __future__ import annotations

import json
from typing import Any

from vidprism.config import Config, ConfigError, paths

CHOICE = ("chosen", "trials", "error", "space", "split", "draws", "not_separable", "at_edge")


def read_choice(config: Config, method: str, backbone: str, track: str) -> dict[str, Any]:
    """What the search found for a method on a backbone and a track: the keys of `CHOICE`, see `vidprism.search.search`.

    Raises:
        ConfigError: the search has not been run, or its file is of an earlier version of the suite.
    """
    path = paths.search(config, method, backbone, track)
    if not path.is_file():
        raise ConfigError(f"{path} is missing; run `dvc repro`, whose search stage for '{method}' writes it")
    found = json.loads(path.read_text(encoding="utf-8"))
    lost = [key for key in CHOICE if key not in found]
    if lost:
        raise ConfigError(
            f"{path} was written by an earlier version and has no {' and no '.join(map(repr, lost))}; run dvc repro"
        )
    return {key: found[key] for key in CHOICE}
