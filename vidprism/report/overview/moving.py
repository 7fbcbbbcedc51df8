"""Moving pictures of generated videos: strips of frames that the page shows one frame after the other, without a
script.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.records.record import ResultsError
from vidprism.report.tables.layout import heading

MOST_BYTES = 60_000  # of all strips of a page


@dataclass(frozen=True)
class MovingPicture:
    """A strip of frames: its dataset, class and video, and its bytes (WebP) in base 64."""

    dataset: str
    class_name: str
    video_id: str
    webp: str


def moving_pictures(config: Config) -> tuple[MovingPicture, ...]:
    """The strips that the world stage made; empty if it has not run.

    Raises:
        ResultsError: the list cannot be read or lacks something, or a strip is missing or is not the listed one.
    """
    listed = paths.results(config, "pictures")
    if not listed.is_file():
        return ()
    try:
        found = [
            MovingPicture(
                heading(config.profile, strip["dataset"]),
                strip["class"],
                strip["video_id"],
                _read(config, strip["file"], strip["sha256"]),
            )
            for strip in results.read_json(listed)
        ]
    except (KeyError, TypeError) as error:
        raise ResultsError(f"{listed} is not a list of strips ({error}); delete it and run `dvc repro`") from error
    if sum(len(picture.webp) for picture in found) * 3 / 4 > MOST_BYTES:
        raise ResultsError(f"{listed}: its strips hold more than {MOST_BYTES} bytes, too many for a page")
    return tuple(found)


def _read(config: Config, name: str, sha256: str) -> str:
    path = paths.pictures(config) / name
    if path.parent != paths.pictures(config) or not path.is_file():
        raise ResultsError(f"there is no picture '{path}'; run `dvc repro`")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ResultsError(f"'{path}' is not the picture that the world stage listed; run `dvc repro`")
    return base64.b64encode(content).decode()
