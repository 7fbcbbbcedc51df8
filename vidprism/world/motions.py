"""Motions: how an object's place, size, angle and visibility change over a clip.

A motion is a path, played forwards or backwards. ``right`` and ``left`` are one path played in the two directions with
the same distribution of everything else, so reversing time maps the one class onto the other exactly, and no set of
single frames tells them apart.
Units: the centre of the picture is (0, 0), its short side reaches from -1 to 1, x to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vidprism.world.random import DECIMALS


@dataclass(frozen=True)
class Track:
    """The object in each of T frames; every array is (T,) float64. `alpha` 0 is invisible, 1 opaque; `angle`
    in radians.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    alpha: np.ndarray

    def backwards(self) -> Track:
        """The same track with time reversed."""
        return Track(*(getattr(self, name)[::-1] for name in self.__dataclass_fields__))


Path = Callable[[np.ndarray, np.random.Generator], Track]


def _still(u: np.ndarray, rng: np.random.Generator) -> Track:
    """An object at rest: what each path starts from."""
    one = np.ones_like(u)
    x, y = rng.uniform(-0.3, 0.3, 2)
    return Track(x * one, y * one, rng.uniform(0.4, 0.62) * one, rng.uniform(-0.3, 0.3) * one, one)


def _progress(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0 to 1 with an own rhythm: rests at both ends, and a speed that may rise or fall on the way."""
    start, end = rng.uniform(0, 0.15), rng.uniform(0.85, 1)
    return np.clip((u - start) / (end - start), 0, 1) ** np.exp(rng.uniform(-0.3, 0.3))


def _slide(u: np.ndarray, rng: np.random.Generator, across: tuple[str, str]) -> Track:
    rest, reach = _still(u, rng), rng.uniform(0.4, 0.6)
    along = -reach + 2 * reach * _progress(u, rng)
    side = getattr(rest, across[1]) + rng.uniform(-0.15, 0.15) * (u - 0.5)
    return Track(**{across[0]: along, across[1]: side}, radius=rest.radius, angle=rest.angle, alpha=rest.alpha)


def _slide_right(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _slide(u, rng, ("x", "y"))


def _slide_down(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _slide(u, rng, ("y", "x"))


def _grow(u: np.ndarray, rng: np.random.Generator) -> Track:
    rest = _still(u, rng)
    far, near = rng.uniform(0.28, 0.36), rng.uniform(0.62, 0.78)
    return Track(rest.x, rest.y, far + (near - far) * _progress(u, rng), rest.angle, rest.alpha)


def _fade_in(u: np.ndarray, rng: np.random.Generator) -> Track:
    rest = _still(u, rng)
    middle, width = rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.3)
    return Track(rest.x, rest.y, rest.radius, rest.angle, np.clip((u - middle) / width + 0.5, 0, 1))


def _turn_twice(u: np.ndarray, rng: np.random.Generator) -> Track:
    """Twice round the centre of the picture, clockwise, from anywhere on the orbit; the object itself does not turn."""
    rest, orbit = _still(u, rng), rng.uniform(0.38, 0.52)
    turned = 2 * u + rng.random()
    x, y = rest.x / 3 + orbit * np.cos(2 * np.pi * turned), rest.y / 3 + orbit * np.sin(2 * np.pi * turned)
    return Track(x, y, rest.radius, rest.angle, rest.alpha)


def _and_back(u: np.ndarray, rng: np.random.Generator, across: tuple[str, str], early: float) -> Track:
    """From one side to the other and back, begun up to `early` cycles too early or too late."""
    rest, reach = _still(u, rng), rng.uniform(0.4, 0.55)
    along = getattr(rest, across[0]) / 3 - reach * np.cos(2 * np.pi * (u + rng.uniform(-early, early)))
    side = getattr(rest, across[1]) / 3
    return Track(**{across[0]: along, across[1]: side}, radius=rest.radius, angle=rest.angle, alpha=rest.alpha)


def _right_and_back(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _and_back(u, rng, ("x", "y"), 0.2)


def _left_and_back(u: np.ndarray, rng: np.random.Generator) -> Track:
    there = _right_and_back(u, rng)
    return replace(there, x=-there.x)


def _down_and_back(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _and_back(u, rng, ("y", "x"), 0.06)


def _up_and_back(u: np.ndarray, rng: np.random.Generator) -> Track:
    there = _down_and_back(u, rng)
    return replace(there, y=-there.y)


def _slow_rises(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two saw teeth from 0 to 1, begun anywhere on a tooth. Four fifths of a tooth rise."""
    phase = (2 * u + rng.random()) % 1
    return np.where(phase < 0.8, phase / 0.8, (1 - phase) / 0.2)


def _grow_slowly(u: np.ndarray, rng: np.random.Generator) -> Track:
    rest = _still(u, rng)
    far, near = rng.uniform(0.28, 0.36), rng.uniform(0.62, 0.78)
    return replace(rest, radius=far + (near - far) * _slow_rises(u, rng))


def _brighten_slowly(u: np.ndarray, rng: np.random.Generator) -> Track:
    return replace(_still(u, rng), alpha=_slow_rises(u, rng))


def _size_leads(u: np.ndarray, rng: np.random.Generator) -> Track:
    """Size and visibility swing twice; the visibility follows a quarter of a cycle behind."""
    rest = _still(u, rng)
    far, near = rng.uniform(0.28, 0.36), rng.uniform(0.62, 0.78)
    phase = 2 * u + rng.random()
    radius = (far + near) / 2 + (near - far) / 2 * np.sin(2 * np.pi * phase)
    return replace(rest, radius=radius, alpha=0.62 + 0.38 * np.sin(2 * np.pi * (phase - 0.25)))


@dataclass(frozen=True)
class Motion:
    """A path and whether it is played backwards; the motions that a reversal of time and a mirror make of it; and its
    `opposite`, the motion that only differs from it in direction or rhythm.

    `order`: the motion and its opposite show the same frames in every half of a clip, and neighbouring frames that
    differ as much. Averages, half differences and moments of the frames cannot tell the two; order within a half can.
    """

    path: Path
    backwards: bool
    reversal: str
    mirror: str
    opposite: str
    order: bool = False


MOTIONS: dict[str, Motion] = {
    "right": Motion(_slide_right, False, "left", "left", "left"),
    "left": Motion(_slide_right, True, "right", "right", "right"),
    "down": Motion(_slide_down, False, "up", "down", "up"),
    "up": Motion(_slide_down, True, "down", "up", "down"),
    "approach": Motion(_grow, False, "recede", "approach", "recede"),
    "recede": Motion(_grow, True, "approach", "recede", "approach"),
    "appear": Motion(_fade_in, False, "vanish", "appear", "vanish"),
    "vanish": Motion(_fade_in, True, "appear", "vanish", "appear"),
    "right_and_back": Motion(_right_and_back, False, "right_and_back", "left_and_back", "left_and_back", True),
    "left_and_back": Motion(_left_and_back, False, "left_and_back", "right_and_back", "right_and_back", True),
    "down_and_back": Motion(_down_and_back, False, "down_and_back", "down_and_back", "up_and_back", True),
    "up_and_back": Motion(_up_and_back, False, "up_and_back", "up_and_back", "down_and_back", True),
    "clockwise": Motion(_turn_twice, False, "counterclockwise", "counterclockwise", "counterclockwise", True),
    "counterclockwise": Motion(_turn_twice, True, "clockwise", "clockwise", "clockwise", True),
    "grow_slowly": Motion(_grow_slowly, False, "grow_fast", "grow_slowly", "grow_fast", True),
    "grow_fast": Motion(_grow_slowly, True, "grow_slowly", "grow_fast", "grow_slowly", True),
    "brighten_slowly": Motion(_brighten_slowly, False, "brighten_fast", "brighten_slowly", "brighten_fast", True),
    "brighten_fast": Motion(_brighten_slowly, True, "brighten_slowly", "brighten_fast", "brighten_slowly", True),
    "size_leads": Motion(_size_leads, False, "brightness_leads", "size_leads", "brightness_leads", True),
    "brightness_leads": Motion(_size_leads, True, "size_leads", "brightness_leads", "size_leads", True),
}


def track(path: Path, backwards: bool, n_frames: int, rng: np.random.Generator) -> Track:
    """A path drawn from `rng` over `n_frames` frames; the same `rng` state and the other direction give the
    reversed track. Values are rounded to `DECIMALS`.
    """
    # the middles of the frames: with both ends, a path there and back would show its turning point once too often
    drawn = path((np.arange(n_frames) + 0.5) / n_frames, rng)
    forwards = Track(*(np.round(getattr(drawn, name), DECIMALS) for name in Track.__dataclass_fields__))
    return forwards.backwards() if backwards else forwards
