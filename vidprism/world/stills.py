"""Captioned stills of the world: what the small CLIP is pre-trained on. Never a video, never a test instance.

Outlines, shades and backgrounds come from streams of their own and from the real pixels of the training
folds. A caption names what can be seen (size, colour, category, place, texture). Some captions end in a
motion phrase, as captions of photographs do, drawn at random: a still does not tell motion, so the words are
known to the text encoder but say nothing about the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidprism.world.backgrounds import TEXTURES, WIDTH, background
from vidprism.world.motions import Track
from vidprism.world.objects import CATEGORIES, COLOURS, mask, shade
from vidprism.world.random import stream
from vidprism.world.realpixels import DIGITS, N_FOLDS
from vidprism.world.render import composite, coverage

SIZE = 48
_PHRASES = (
    "moving left", "moving right", "moving up", "moving down", "move left", "move right", "move up", "move down",
    "approaching", "receding", "appearing", "vanishing", "moving up and back", "moving down and back",
    "move up and back", "move down and back", "circling clockwise", "circling counterclockwise", "circle clockwise",
    "circle counterclockwise", "growing slowly", "growing fast", "grow slowly", "grow fast", "brightening slowly",
    "brightening fast", "brighten slowly", "brighten fast",
)  # fmt: skip
_ACTIONS = (
    "moving {} from left to right", "moving {} from right to left", "moving {} closer", "moving {} away",
    "moving {} right and back", "moving {} left and back", "circling {} clockwise", "circling {} counterclockwise",
    "growing {} slowly", "growing {} fast", "growing {} before it brightens", "brightening {} before it grows",
)  # fmt: skip


@dataclass(frozen=True)
class StillPool:
    """Outlines and backgrounds to make stills of: `masks` (M, S, S), `backgrounds` (M, 48, 48, 3), and the
    words of each.
    """

    masks: np.ndarray
    backgrounds: np.ndarray
    categories: list[str]
    textures: list[str]


def make_pool(n: int, seed: int) -> StillPool:
    """`n` outlines and `n` backgrounds, categories and textures in equal numbers, none of them of the test
    fold.
    """
    categories = [CATEGORIES[i % len(CATEGORIES)] for i in range(n)]
    textures = [TEXTURES[i % len(TEXTURES)] for i in range(n)]
    masks, backgrounds = [], []
    for i, (category, texture) in enumerate(zip(categories, textures, strict=True)):
        rng, fold = stream(seed, "still", i), 1 + i % (N_FOLDS - 1)
        masks.append(mask(category, fold, rng))
        left = int(rng.integers(0, WIDTH - SIZE, endpoint=True))
        backgrounds.append(background(texture, fold, rng)[:, left : left + SIZE])
    return StillPool(np.stack(masks), np.stack(backgrounds), categories, textures)


@dataclass(frozen=True)
class Stills:
    """N stills: `images` (N, 48, 48, 3) uint8, the caption and the category of each, and where its object is."""

    images: np.ndarray
    captions: list[str]
    categories: list[str]
    place: Track


def draw(pool: StillPool, n: int, rng: np.random.Generator) -> Stills:
    """`n` stills of a pool's outlines and backgrounds."""
    m = len(pool.masks)
    which, behind = rng.integers(0, m, n), rng.integers(0, m, n)
    colours = [str(c) for c in rng.choice(list(COLOURS), n)]
    place = _places(n, rng)
    cover = coverage(pool.masks, which, place, SIZE, SIZE)
    images = composite(pool.backgrounds[behind], np.stack([shade(c, rng) for c in colours]), cover)
    categories = [pool.categories[i] for i in which]
    captions = [_caption(categories[i], colours[i], pool.textures[behind[i]], place, i, rng) for i in range(n)]
    return Stills(images, captions, categories, place)


def _places(n: int, rng: np.random.Generator) -> Track:
    """Places, sizes and angles that cover what objects do in videos; a few pictures are empty."""
    x, y = rng.uniform(-0.6, 0.6, (2, n))
    angle = np.where(rng.random(n) < 0.25, rng.uniform(-np.pi, np.pi, n), rng.uniform(-0.35, 0.35, n))
    alpha = np.where(rng.random(n) < 0.03, 0.0, 1.0)
    return Track(x, y, rng.uniform(0.3, 0.72, n), angle, alpha)


def _caption(category: str, colour: str, texture: str, place: Track, i: int, rng: np.random.Generator) -> str:
    if place.alpha[i] == 0:
        return f"an empty {texture} background"
    noun = f"handwritten {category}" if category in DIGITS and rng.random() < 0.5 else category
    size = ("small", "medium", "large")[int(np.searchsorted((0.42, 0.57), place.radius[i]))]
    where = _position(place.x[i], place.y[i])
    if rng.random() < 0.85:
        return f"a {size} {colour} {noun} at the {where} on a {texture} background"
    return _short(noun, colour, size, where, texture, rng)


def _position(x: float, y: float) -> str:
    column = ("left", "", "right")[int(np.searchsorted((-0.2, 0.2), x))]
    row = ("top", "", "bottom")[int(np.searchsorted((-0.2, 0.2), y))]
    return f"{row} {column}".strip() or "center"


def _short(noun: str, colour: str, size: str, where: str, texture: str, rng: np.random.Generator) -> str:
    thing = str(rng.choice([noun, f"{colour} {noun}", f"{colour} {noun}", "something"]))
    article = "" if thing == "something" else "a "
    forms = (
        thing,
        f"{article}{thing}",
        f"a photo of {article}{thing}.",
        f"a video of {article}{thing}.",
        f"{thing} at the {where}",
        f"{thing} on a {texture} background",
        f"{thing} {rng.choice(_PHRASES)}",
        str(rng.choice(_ACTIONS)).format(thing),
    )
    return forms[int(rng.integers(len(forms)))]
