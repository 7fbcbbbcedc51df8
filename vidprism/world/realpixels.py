"""The real pixels in the world: handwritten digits and two photographs that scikit-learn ships.

Every digit and every photo tile belongs to one of four folds. A video of group g takes pixels of the fold of
g only, and the folds follow the test groups of the three official splits, so no test video shares a real
pixel with a training video.
Sources: scikit-learn user guide, "Toy datasets" (UCI optical recognition of handwritten digits, 8x8, values 0
to 16) and "Loading sample images" (china.jpg, flower.jpg, 640x427, CC BY).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np

DIGITS = {"zero": 0, "three": 3, "four": 4, "seven": 7}
PHOTOS = {"temple": "china.jpg", "flower": "flower.jpg"}
N_FOLDS = 4
# Groups of each official split's test list. One of split 1 holds one clip of each class, so that every test clip has an
# object and a background of its own; the 18 groups that split 1 trains on hold several.
GROUPS_TEST = {1: range(1, 61), 2: range(61, 68), 3: range(68, 75)}
GROUPS_TRAIN = range(61, 79)
GROUP_EXTRA = 79  # videos a dataset has beside its labelled ones: unused (HMDB-51) or without a label (SSv2, Kinetics)
TILE_HEIGHT, TILE_WIDTH = 96, 128
_FOLD_OF_TENTH = (0, 0, 1, 1, 2, 2, 3, 3, 3, 3)


def fold_of_group(group: int) -> int:
    """Fold of a group: those of the three splits' test groups, and fold 3 for the rest."""
    return next((split - 1 for split, groups in GROUPS_TEST.items() if group in groups), N_FOLDS - 1)


def digit(category: str, fold: int, pick: int) -> np.ndarray:
    """One handwritten digit as an (8, 8) float mask in [0, 1]; `pick` chooses among the fold's digits of that
    category.
    """
    images, labels = _digits()
    rows = np.flatnonzero(labels == DIGITS[category])
    rows = rows[[_FOLD_OF_TENTH[i % 10] == fold for i in range(len(rows))]]
    return images[rows[pick % len(rows)]]


def photo_tile(photo: str, fold: int, pick: int) -> np.ndarray:
    """One tile of a photograph at half resolution, (48, 64, 3) float in [0, 1]; tiles of a fold overlap no
    other tile.
    """
    pixels = _photo(photo)
    columns = pixels.shape[1] // TILE_WIDTH
    tiles = [i for i in range(pixels.shape[0] // TILE_HEIGHT * columns) if _FOLD_OF_TENTH[i % 10] == fold]
    row, column = divmod(tiles[pick % len(tiles)], columns)
    tile = pixels[row * TILE_HEIGHT : (row + 1) * TILE_HEIGHT, column * TILE_WIDTH : (column + 1) * TILE_WIDTH]
    return tile.reshape(TILE_HEIGHT // 2, 2, TILE_WIDTH // 2, 2, 3).mean((1, 3))


def _data_folder() -> Path:
    # Found without importing scikit-learn, which costs two seconds in every worker.
    spec = find_spec("sklearn")
    folder = Path(spec.origin).parent / "datasets" if spec and spec.origin else None
    if folder is None or not (folder / "data" / "digits.csv.gz").is_file():
        raise FileNotFoundError("scikit-learn's bundled digits are missing; reinstall the package scikit-learn")
    return folder


@lru_cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(_data_folder() / "data" / "digits.csv.gz", delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 8, 8) / 16, table[:, -1].astype(int)


@lru_cache
def _photo(photo: str) -> np.ndarray:
    with av.open(str(_data_folder() / "images" / PHOTOS[photo])) as container:
        frame = next(container.decode(video=0))
    return frame.to_ndarray(format="rgb24").astype(np.float32) / 255
