"""Motions: how an object's place, size, angle and visibility change over a clip.

A motion is a path, played forwards, backwards, or either way at random. ``right`` and ``left`` are one path
played in the two directions with the same distribution of everything else, so reversing time maps the one
class onto the other exactly, and no set of single frames tells them apart. A path played either way at random
is its own reversal.
Units: the centre of the picture is (0, 0), its short side reaches from -1 to 1, x to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


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


def _turn_clockwise(u: np.ndarray, rng: np.random.Generator) -> Track:
    """Round the centre of the picture, the object turning with it as if on a turntable."""
    rest, orbit = _still(u, rng), rng.uniform(0.3, 0.45)
    turned = 2 * np.pi * (rng.random() + rng.uniform(0.8, 1.2) * _progress(u, rng))
    return Track(orbit * np.cos(turned), orbit * np.sin(turned), rest.radius, rest.angle + turned, rest.alpha)


def _shake(u: np.ndarray, rng: np.random.Generator, cycles: float) -> Track:
    rest, reach, heading = _still(u, rng), rng.uniform(0.25, 0.4), rng.uniform(0, 2 * np.pi)
    swing = reach * np.sin(2 * np.pi * (cycles * u + rng.random()))
    x, y = rest.x / 2 + swing * np.cos(heading), rest.y / 2 + swing * np.sin(heading)
    return Track(x, y, rest.radius, rest.angle, rest.alpha)


def _shake_fast(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _shake(u, rng, rng.uniform(5, 7))


def _shake_slowly(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _shake(u, rng, rng.uniform(1, 1.6))


def _pulse(u: np.ndarray, rng: np.random.Generator, cycles: float) -> Track:
    rest, depth = _still(u, rng), rng.uniform(0.25, 0.4)
    factor = 1 + depth * np.sin(2 * np.pi * (cycles * u + rng.random()))
    return Track(rest.x, rest.y, rest.radius * factor, rest.angle, rest.alpha)


def _pulse_fast(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _pulse(u, rng, rng.uniform(5, 7))


def _pulse_slowly(u: np.ndarray, rng: np.random.Generator) -> Track:
    return _pulse(u, rng, rng.uniform(1, 1.6))


@dataclass(frozen=True)
class Motion:
    """A path and the way it is played (`backwards`; None: either way, at random), and what a reversal and a
    mirror make of it.
    """

    path: Path
    backwards: bool | None
    reversal: str
    mirror: str


MOTIONS: dict[str, Motion] = {
    "right": Motion(_slide_right, False, "left", "left"),
    "left": Motion(_slide_right, True, "right", "right"),
    "down": Motion(_slide_down, False, "up", "down"),
    "up": Motion(_slide_down, True, "down", "up"),
    "approach": Motion(_grow, False, "recede", "approach"),
    "recede": Motion(_grow, True, "approach", "recede"),
    "appear": Motion(_fade_in, False, "vanish", "appear"),
    "vanish": Motion(_fade_in, True, "appear", "vanish"),
    "clockwise": Motion(_turn_clockwise, False, "counterclockwise", "counterclockwise"),
    "counterclockwise": Motion(_turn_clockwise, True, "clockwise", "clockwise"),
    "shake_fast": Motion(_shake_fast, None, "shake_fast", "shake_fast"),
    "shake_slowly": Motion(_shake_slowly, None, "shake_slowly", "shake_slowly"),
    "pulse_fast": Motion(_pulse_fast, None, "pulse_fast", "pulse_fast"),
    "pulse_slowly": Motion(_pulse_slowly, None, "pulse_slowly", "pulse_slowly"),
}


def track(path: Path, backwards: bool, n_frames: int, rng: np.random.Generator) -> Track:
    """A path drawn from `rng` over `n_frames` frames; the same `rng` state and the other direction give the
    reversed track.
    """
    forwards = path(np.linspace(0, 1, n_frames), rng)
    return forwards.backwards() if backwards else forwards
