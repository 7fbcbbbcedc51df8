"""Backgrounds: four drawn textures and tiles of two photographs, muted so that the object stands out."""

from __future__ import annotations

import numpy as np

from vidprism.world import realpixels
from vidprism.world.random import DECIMALS

HEIGHT, WIDTH = 48, 64
TEXTURES = ("plain", "striped", "dotted", "checked", *realpixels.PHOTOS)


def background(texture: str, fold: int, rng: np.random.Generator) -> np.ndarray:
    """One background instance, (HEIGHT, WIDTH, 3) float32 in [0, 1]."""
    if texture in realpixels.PHOTOS:
        tile = realpixels.photo_tile(texture, fold, int(rng.integers(1 << 30)))
        tile = tile[:, ::-1] if rng.random() < 0.5 else tile
        return (rng.uniform(0.05, 0.15) + rng.uniform(0.4, 0.55) * tile).astype(np.float32)
    dark = rng.uniform(0.15, 0.35) + rng.uniform(-0.06, 0.06, 3)
    light = dark + rng.uniform(0.08, 0.18)
    weight = _pattern(texture, rng)[..., None]
    grain = rng.normal(0, 0.015, (HEIGHT, WIDTH, 1))
    return np.clip(dark + weight * (light - dark) + grain, 0, 1).astype(np.float32)


def _pattern(texture: str, rng: np.random.Generator) -> np.ndarray:
    """(HEIGHT, WIDTH) weights in [0, 1] of the lighter tone."""
    y, x = np.meshgrid(np.arange(HEIGHT, dtype=np.float32), np.arange(WIDTH, dtype=np.float32), indexing="ij")
    angle, period = rng.uniform(0, np.pi), rng.uniform(10, 18)
    cos, sin = round(float(np.cos(angle)), DECIMALS), round(float(np.sin(angle)), DECIMALS)
    u = (x * cos + y * sin) / period + rng.random()
    v = (y * cos - x * sin) / period + rng.random()
    if texture == "plain":
        return np.clip(0.5 + (x / WIDTH - 0.5) * cos + (y / HEIGHT - 0.5) * sin, 0, 1)
    if texture == "striped":
        return (u % 1 < rng.uniform(0.4, 0.6)).astype(np.float32)
    if texture == "dotted":
        return (np.hypot(u % 1 - 0.5, v % 1 - 0.5) < rng.uniform(0.25, 0.35)).astype(np.float32)
    return ((u % 1 < 0.5) ^ (v % 1 < 0.5)).astype(np.float32)
