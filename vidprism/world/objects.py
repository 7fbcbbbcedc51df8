"""Objects: soft masks of ten drawn shapes and four handwritten digits, and the shades of six colours.

A category (``star``) is a family of outlines; an instance is one member of it, with its own proportions,
wobble and, for digits, its own handwriting. Masks are (SPRITE, SPRITE) float32 in [0, 1], the object filling
most of the square.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vidprism.world import realpixels
from vidprism.world.random import DECIMALS

SPRITE = 48
_OVERSAMPLE = 3
# hue in turns, saturation, value: the centre of each colour's range of shades
COLOURS = {
    "red": (0.00, 0.85, 0.90),
    "yellow": (0.15, 0.85, 0.95),
    "green": (0.34, 0.80, 0.75),
    "blue": (0.61, 0.80, 0.90),
    "purple": (0.80, 0.65, 0.85),
    "white": (0.10, 0.05, 0.97),
}

Outline = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def _circle(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x**2 + y**2 < 0.85**2


def _square(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.maximum(abs(x), abs(y)) < 0.75


def _triangle(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (y < 0.7) & (y > 2 * abs(x) - 0.9)


def _star(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    inner = rng.uniform(0.32, 0.42)
    step = np.pi / 5
    wedge = abs((np.arctan2(x, -y) + step) % (2 * step) - step)
    # distance of the straight edge from a tip (radius 0.95, wedge 0) to the notch beside it (radius inner,
    # wedge `step`)
    edge = 0.95 * inner * np.sin(step) / (0.95 * np.sin(wedge) + inner * np.sin(step - wedge))
    return np.hypot(x, y) < np.round(edge, DECIMALS)


def _cross(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    arm = rng.uniform(0.22, 0.32)
    return ((abs(x) < arm) & (abs(y) < 0.9)) | ((abs(y) < arm) & (abs(x) < 0.9))


def _ring(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    radius = np.hypot(x, y)
    return (radius < 0.88) & (radius > rng.uniform(0.48, 0.6))


def _heart(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x, y = 1.3 * x, 0.15 - 1.3 * y
    return (x**2 + y**2 - 1) ** 3 < x**2 * y**3


def _moon(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    offset = rng.uniform(0.4, 0.55)
    return (x**2 + y**2 < 0.88**2) & ((x - offset) ** 2 + y**2 > 0.68**2)


def _arrow(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shaft = rng.uniform(0.18, 0.28)
    head = (y > -0.9) & (y < 0.05) & (abs(x) < 0.85 * (y + 0.9))
    return head | ((abs(x) < shaft) & (y >= 0.0) & (y < 0.9))


def _bar(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (abs(x) < 0.95) & (abs(y) < rng.uniform(0.25, 0.35))


SHAPES: dict[str, Outline] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "heart": _heart,
    "moon": _moon,
    "arrow": _arrow,
    "bar": _bar,
}
CATEGORIES = (*SHAPES, *realpixels.DIGITS)


def mask(category: str, fold: int, rng: np.random.Generator) -> np.ndarray:
    """One instance of a category: (SPRITE, SPRITE) float32 in [0, 1]."""
    if category in realpixels.DIGITS:
        return _digit_mask(category, fold, rng)
    n = SPRITE * _OVERSAMPLE
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    x, y = _deform(x, y, rng)
    inside = SHAPES[category](x, y, rng).astype(np.float32)
    return inside.reshape(SPRITE, _OVERSAMPLE, SPRITE, _OVERSAMPLE).mean((1, 3))


def _deform(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Own proportions, slant and wobble of one instance."""
    stretch, slant = rng.uniform(0.88, 1.14), rng.uniform(-0.15, 0.15)
    angle = np.arctan2(y, x)
    wobble = 1 + sum(rng.uniform(0, 0.03) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    wobble = np.round(wobble, DECIMALS)
    return (x * stretch + slant * y) * wobble, (y / stretch) * wobble


def _digit_mask(category: str, fold: int, rng: np.random.Generator) -> np.ndarray:
    pixels = np.pad(realpixels.digit(category, fold, int(rng.integers(1 << 30))), 1)
    at = (np.arange(SPRITE) + 0.5) / SPRITE * 8 + 0.5
    low = at.astype(int)
    part = (at - low).astype(np.float32)
    rows = pixels[low] * (1 - part[:, None]) + pixels[low + 1] * part[:, None]
    smooth = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return np.clip(smooth * 2.2 - 0.5, 0, 1).astype(np.float32)


def shade(colour: str, rng: np.random.Generator) -> np.ndarray:
    """One shade of a colour, (3,) float RGB in [0, 1]."""
    hue, saturation, value = COLOURS[colour]
    hue = (hue + rng.uniform(-0.03, 0.03)) % 1
    saturation = np.clip(saturation * rng.uniform(0.8, 1.15), 0, 1)
    value = np.clip(value * rng.uniform(0.8, 1.05), 0, 1)
    # HSV to RGB, the usual closed form
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)
