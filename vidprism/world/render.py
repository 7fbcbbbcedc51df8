"""From instances and tracks to pixels: one vectorised compositor for videos and stills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidprism.world.backgrounds import background
from vidprism.world.motions import Track
from vidprism.world.objects import SPRITE, mask, shade
from vidprism.world.random import DECIMALS


@dataclass(frozen=True)
class Instance:
    """What an object and its surroundings look like: `mask` (S, S), `shade` (3,), `background` (H, W, 3), all
    float32 in [0, 1].
    """

    mask: np.ndarray
    shade: np.ndarray
    background: np.ndarray


def make_instance(category: str, colour: str, texture: str, fold: int, rng: np.random.Generator) -> Instance:
    """One instance of the named categories; the same `rng` state gives the same pixels."""
    return Instance(mask(category, fold, rng), shade(colour, rng), background(texture, fold, rng))


def render(instance: Instance, track: Track) -> np.ndarray:
    """Frames of one object on its background: (T, H, W, 3) uint8."""
    n = len(track.x)
    which = np.zeros(n, dtype=int)
    cover = coverage(instance.mask[None], which, track, *instance.background.shape[:2])
    return composite(instance.background[None], instance.shade[None], cover)


def coverage(masks: np.ndarray, which: np.ndarray, track: Track, height: int, width: int) -> np.ndarray:
    """How much of each pixel the object covers, (N, height, width) float32.

    Args:
        masks: (M, S, S) sprites.
        which: (N,) index of the sprite of each frame.
        track: place, size, angle and visibility, (N,) each; the short side of the picture reaches from -1 to
            1.
    """
    half = min(height, width) / 2
    y = ((np.arange(height) + 0.5 - height / 2) / half).astype(np.float32)[None, :, None]
    x = ((np.arange(width) + 0.5 - width / 2) / half).astype(np.float32)[None, None, :]
    f = [
        np.asarray(a, dtype=np.float32)[:, None, None]
        for a in (track.x, track.y, track.radius, track.angle, track.alpha)
    ]
    cos, sin = (
        np.round(turn(track.angle), DECIMALS)[:, None, None].astype(np.float32) / f[2] for turn in (np.cos, np.sin)
    )
    # picture -> sprite: shift, turn back, scale; the border of a sprite is empty, so clipping there reads
    # zero
    u = cos * (x - f[0]) + sin * (y - f[1])
    v = cos * (y - f[1]) - sin * (x - f[0])
    return bilinear(masks, which, (v + 1) * (SPRITE / 2) - 0.5, (u + 1) * (SPRITE / 2) - 0.5) * f[4]


def bilinear(masks: np.ndarray, which: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Bilinear samples of sprite `which[n]` at fractional (row, column), each (N, H, W); zero outside the
    sprite.
    """
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    size = padded.shape[-1]
    row, column = np.clip(row + 1, 0, size - 1.001), np.clip(column + 1, 0, size - 1.001)
    top, left = row.astype(np.int32), column.astype(np.int32)
    down, across = row - top, column - left
    at = (which.astype(np.int32) * size)[:, None, None] + top
    at = at * size + left
    flat = padded.ravel()
    upper = flat[at] * (1 - across) + flat[at + 1] * across
    lower = flat[at + size] * (1 - across) + flat[at + size + 1] * across
    return upper * (1 - down) + lower * down


def composite(backgrounds: np.ndarray, shades: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Paint the covered part in the object's shade.

    Args:
        backgrounds: (N or 1, H, W, 3) float in [0, 1].
        shades: (N or 1, 3) float in [0, 1].
        cover: (N, H, W) float in [0, 1].

    Returns:
        (N, H, W, 3) uint8.
    """
    paint = cover[..., None] * (shades[:, None, None] - backgrounds)
    return np.rint((backgrounds + paint) * 255).astype(np.uint8)
