"""Captioned clips of the generated world: what the small ViCLIP is pre-trained on. Never a video of a dataset.

Outlines and backgrounds are those of the stills on which the small CLIP is trained, drawn from streams of their own.
Unlike the captions of stills, these tell how the object moves: a model of videos and texts is meant to know motion
words, and its row in Table 2 shows what that is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidprism.world.motions import MOTIONS, Track, track
from vidprism.world.objects import COLOURS, shade
from vidprism.world.render import composite, coverage
from vidprism.world.stills import SIZE, StillPool

DOES = {
    "right": "moving right",
    "left": "moving left",
    "down": "moving down",
    "up": "moving up",
    "approach": "approaching",
    "recede": "receding",
    "appear": "appearing",
    "vanish": "vanishing",
    "right_and_back": "moving right and back",
    "left_and_back": "moving left and back",
    "down_and_back": "moving down and back",
    "up_and_back": "moving up and back",
    "clockwise": "circling clockwise",
    "counterclockwise": "circling counterclockwise",
    "grow_slowly": "growing slowly",
    "grow_fast": "growing fast",
    "brighten_slowly": "brightening slowly",
    "brighten_fast": "brightening fast",
    "size_leads": "growing before it brightens",
    "brightness_leads": "brightening before it grows",
}


@dataclass(frozen=True)
class CaptionedClips:
    """N clips (N, T, S, S, 3) uint8, the caption of each, and the key of its motion."""

    clips: np.ndarray
    captions: list[str]
    motions: list[str]


def draw_clips(pool: StillPool, n: int, n_frames: int, rng: np.random.Generator) -> CaptionedClips:
    """`n` clips of `n_frames` frames, each frame in the middle of its segment; all motions are as likely."""
    m, keys = len(pool.masks), list(MOTIONS)
    which, behind = rng.integers(0, m, n), rng.integers(0, m, n)
    colours = [str(c) for c in rng.choice(list(COLOURS), n)]
    motions = [keys[i] for i in rng.integers(0, len(keys), n)]
    moved = [track(MOTIONS[key].path, MOTIONS[key].backwards, n_frames, rng) for key in motions]
    places = Track(*(np.concatenate([getattr(one, name) for one in moved]) for name in Track.__dataclass_fields__))
    cover = coverage(pool.masks, np.repeat(which, n_frames), places, SIZE, SIZE)
    shades = np.stack([shade(colour, rng) for colour in colours])
    images = composite(pool.backgrounds[np.repeat(behind, n_frames)], np.repeat(shades, n_frames, axis=0), cover)
    captions = [
        f"a {colours[i]} {pool.categories[which[i]]} {DOES[motions[i]]} on a {pool.textures[behind[i]]} background"
        for i in range(n)
    ]
    return CaptionedClips(images.reshape(n, n_frames, SIZE, SIZE, 3), captions, motions)
