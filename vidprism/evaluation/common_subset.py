"""Common subsets: the test videos that several copies of a dataset share, so that scores on them can be compared.

Copies of Kinetics differ by hundreds of videos, and so does the accuracy on them. A list in data/lists with one test
video per line (its id, its path below ``videos/``, or its file name) gives every result a second score on only these
videos. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from vidprism.config import Config, ConfigError, paths
from vidprism.datasets import _names as names


@dataclass(frozen=True)
class Subset:
    """A list, and which of the N listed test videos it names, in manifest order, bool (N,)."""

    file: str
    sha256: str
    named: np.ndarray


def read_subset(config: Config, dataset: str) -> Subset | None:
    """The subset of a dataset according to `analysis.subset_lists`, or None.

    Raises:
        ConfigError: the file does not exist, is not text or is empty, or names a video that the test list lacks. Such
            a list was made for another dataset or split, and the message says so where it can be seen.
    """
    file = config.profile.analysis.subset_lists.get(dataset)
    if file is None:
        return None
    path = paths.listed(config, file)
    if not path.is_file():
        raise ConfigError(f"analysis.subset_lists names '{file}', but '{path}' does not exist; put the list there")
    content = path.read_bytes()
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    columns = ["video_id", "path", "split"]
    df = pd.read_csv(
        paths.manifest(config, dataset) / "manifest.csv", usecols=columns, dtype=str, keep_default_na=False
    )
    asked = {names.tidy_path(line) for line in lines if line}
    in_test = df["split"] == "test"
    tested, trained = _named(df[in_test]), set().union(*_named(df[~in_test]))
    known = set().union(*tested)
    unknown = asked - known
    if not asked:
        raise ConfigError(f"{path} is empty; write one test video of {dataset} per line")
    if unknown:
        where = f"the test list of {dataset}, split {config.profile.protocol.split_of(dataset)}"
        one = min(unknown)
        n_trained = len(unknown & trained)
        told = f"; {n_trained} of them are in its training list, so the list is of another split" if n_trained else ""
        about = f"'{one}' for one{names.hint(one, known)}{told}"
        raise ConfigError(f"{path}: {len(unknown)} of {len(asked)} lines are not in {where}, {about}")
    named = np.array([bool(asked & of_video) for of_video in tested])
    return Subset(file, hashlib.sha256(content).hexdigest(), named)


def _named(df: pd.DataFrame) -> list[set[str]]:
    """The names of each video: its id, its path, and its file's name."""
    return [{v.video_id, v.path, PurePosixPath(v.path).name} for v in df.itertuples()]


def answers_in_subset(correct: str, chosen: Subset, dataset: str) -> str:
    """The answers to the videos of the subset, out of those to all listed videos (one character per video).

    Raises:
        ConfigError: the manifest has another number of test videos than the result.
    """
    if len(correct) != len(chosen.named):
        raise ConfigError(
            f"the manifest of {dataset} lists {len(chosen.named)} test videos and the result {len(correct)}; "
            "run `dvc repro`, which trains again on the current manifest"
        )
    return "".join(c for c, named in zip(correct, chosen.named, strict=True) if named)
