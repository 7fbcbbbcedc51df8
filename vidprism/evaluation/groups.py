"""The group of each listed test video. Intervals sample groups, because the cuts of one recording get similar answers.
Groups are read from the manifest during evaluation, so that results need no data afterwards. Nothing here imports
torch.
"""

from __future__ import annotations

import pandas as pd

from vidprism.config import Config, ConfigError, paths


def of_test(config: Config, dataset: str, n_listed: int) -> list[str]:
    """Name of the group of each listed test video, in manifest order; "" for a video without one.

    Raises:
        ConfigError: the dataset has not been prepared, or its manifest has another number of test videos than the
            result (`n_listed`).
    """
    path = paths.manifest(config, dataset) / "manifest.csv"
    if not path.is_file():
        raise ConfigError(f"'{path}' does not exist, and intervals need its groups; run the prepare stage of {dataset}")
    df = pd.read_csv(path, usecols=["split", "group"], dtype=str, keep_default_na=False)
    names = df.loc[df["split"] == "test", "group"].tolist()
    if len(names) != n_listed:
        raise ConfigError(
            f"the manifest of {dataset} lists {len(names)} test videos and the result {n_listed}; "
            "run `dvc repro`, which trains again on the current manifest"
        )
    return names
