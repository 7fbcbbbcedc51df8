"""What an image encoder knows of an object: linear probes on the embeddings of single stills.

The probes are fitted on stills of the outlines that pre-training sees and answer stills of other outlines and
backgrounds. No video is involved. Letters: N stills, D width of the embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidprism.config import WorldConfig
from vidprism.world.random import stream
from vidprism.world.stills import draw, make_pool

N_FITTED, N_ASKED = 4000, 2000
AT_ONCE = 250


class Known(NamedTuple):
    """Layer-normed embeddings (N, D) of stills, and what is seen: x, y and radius (N, 3), categories (N,)."""

    features: np.ndarray
    place: np.ndarray
    categories: np.ndarray


def probe_stills(encode: Callable[[Tensor], Tensor], world: WorldConfig, pool: int) -> dict[str, float]:
    """Linear probes of an encoder of pictures, images (N, 48, 48, 3) uint8 -> embeddings (N, D).

    Returns:
        `r2_x`, `r2_y` and `r2_radius`, the share of variance that ridge regression explains, and `category_percent`,
        the accuracy of logistic regression over the 14 categories.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import r2_score

    fitted = _encode(encode, world.seed, pool, N_FITTED)
    asked = _encode(encode, world.seed + 1, pool, N_ASKED)
    found = Ridge().fit(fitted.features, fitted.place).predict(asked.features)
    r2 = r2_score(asked.place, found, multioutput="raw_values")
    category = LogisticRegression(C=0.1, max_iter=1000).fit(fitted.features, fitted.categories)
    return {
        **{f"r2_{name}": round(float(value), 3) for name, value in zip(("x", "y", "radius"), r2, strict=True)},
        "category_percent": round(100 * float(category.score(asked.features, asked.categories)), 1),
    }


@torch.inference_mode()
def _encode(encode: Callable[[Tensor], Tensor], seed: int, pool: int, n: int) -> Known:
    """About `n` stills that show an object, of the pool of that seed."""
    made, rng, parts = make_pool(pool, seed), stream(seed, "probed stills"), []
    for _ in range(n // AT_ONCE):
        stills = draw(made, AT_ONCE, rng)
        features_ND = encode(torch.from_numpy(stills.images))
        seen = stills.place.alpha > 0
        place = np.stack([stills.place.x, stills.place.y, stills.place.radius], axis=1)
        normed_ND = F.layer_norm(features_ND, features_ND.shape[-1:]).numpy()
        parts.append((normed_ND[seen], place[seen], np.array(stills.categories)[seen]))
    return Known(*(np.concatenate(of_all) for of_all in zip(*parts, strict=True)))
