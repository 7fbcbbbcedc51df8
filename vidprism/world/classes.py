"""The classes of the four generated datasets: which objects, which colours, which motions.

mini-UCF is told by what is seen, mini-SSv2 by how it moves, mini-HMDB by both, and mini-K400 holds all three
kinds. Names follow the style of the real dataset; their words are words of the captions the small CLIP learns
from.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidprism.world.motions import MOTIONS
from vidprism.world.objects import CATEGORIES, COLOURS, SHAPES


@dataclass(frozen=True)
class ActionClass:
    """One class: its official-style name, the words a prompt uses, and what its videos draw from, all at
    random.
    """

    name: str
    text: str
    categories: tuple[str, ...] = tuple(CATEGORIES)
    colours: tuple[str, ...] = tuple(COLOURS)
    motions: tuple[str, ...] = tuple(MOTIONS)


def _appearance(name: str, text: str, category: str, colour: str | None = None) -> ActionClass:
    return ActionClass(name, text, (category,), (colour,) if colour else tuple(COLOURS))


def _acting(name: str, category: str, motion: str) -> ActionClass:
    return ActionClass(name, name.replace("_", " "), (category,), motions=(motion,))


def _motion(name: str, motion: str, categories: tuple[str, ...] = tuple(SHAPES)) -> ActionClass:
    return ActionClass(name, name.replace("[", "").replace("]", "").lower(), categories, motions=(motion,))


# Every colour comes in every shape: neither alone tells more than one class in three or four.
_UCF101 = tuple(
    _appearance(f"{colour.capitalize()}{shape.capitalize()}", f"{colour} {shape}", shape, colour)
    for colour in ("red", "green", "blue")
    for shape in ("circle", "square", "star", "heart")
)

_HMDB51 = (
    _acting("star_move_left", "star", "left"),
    _acting("star_move_right", "star", "right"),
    _acting("ring_move_left", "ring", "left"),
    _acting("ring_move_right", "ring", "right"),
    _acting("heart_move_up", "heart", "up"),
    _acting("heart_move_down", "heart", "down"),
    _acting("cross_move_up", "cross", "up"),
    _acting("cross_move_down", "cross", "down"),
    _acting("square_approach", "square", "approach"),
    _acting("square_recede", "square", "recede"),
    _acting("moon_shake_fast", "moon", "shake_fast"),
    _acting("moon_shake_slowly", "moon", "shake_slowly"),
)

_SSV2 = (
    _motion("Moving [something] from left to right", "right"),
    _motion("Moving [something] from right to left", "left"),
    _motion("Moving [something] up", "up"),
    _motion("Moving [something] down", "down"),
    _motion("Moving [something] closer", "approach"),
    _motion("Moving [something] away", "recede"),
    _motion("Making [something] appear", "appear"),
    _motion("Making [something] vanish", "vanish"),
    _motion("Turning [something] clockwise", "clockwise"),
    _motion("Turning [something] counterclockwise", "counterclockwise"),
    _motion("Shaking [something] fast", "shake_fast"),
    _motion("Shaking [something] slowly", "shake_slowly"),
)

_OTHERS = ("triangle", "cross", "arrow")
_KINETICS400 = (
    _appearance("red circle", "red circle", "circle", "red"),
    _appearance("blue circle", "blue circle", "circle", "blue"),
    _appearance("red square", "red square", "square", "red"),
    _appearance("blue square", "blue square", "square", "blue"),
    _appearance("handwritten zero", "handwritten zero", "zero"),
    _appearance("handwritten four", "handwritten four", "four"),
    _acting("star moving left", "star", "left"),
    _acting("star moving right", "star", "right"),
    _acting("heart approaching", "heart", "approach"),
    _acting("heart receding", "heart", "recede"),
    _acting("moon turning clockwise", "moon", "clockwise"),
    _acting("moon turning counterclockwise", "moon", "counterclockwise"),
    _acting("ring shaking fast", "ring", "shake_fast"),
    _acting("ring shaking slowly", "ring", "shake_slowly"),
    _motion("something moving up", "up", _OTHERS),
    _motion("something moving down", "down", _OTHERS),
    _motion("something appearing", "appear", _OTHERS),
    _motion("something vanishing", "vanish", _OTHERS),
    _motion("something pulsing fast", "pulse_fast", _OTHERS),
    _motion("something pulsing slowly", "pulse_slowly", _OTHERS),
)

DATASETS: dict[str, tuple[ActionClass, ...]] = {
    "ucf101": _UCF101,
    "hmdb51": _HMDB51,
    "ssv2": _SSV2,
    "kinetics400": _KINETICS400,
}


def counterparts(classes: tuple[ActionClass, ...], change: str) -> dict[str, str]:
    """Classes that `change` maps to another class ("reversal" of time, or "mirror": left for right).

    All other classes map to themselves.

    Raises:
        ValueError: a class has no counterpart, so the world would not be closed under the change.
    """
    by_content = {(c.categories, c.colours, frozenset(c.motions)): c.name for c in classes}
    pairs = {}
    for c in classes:
        content = (c.categories, c.colours, frozenset(getattr(MOTIONS[m], change) for m in c.motions))
        if content not in by_content:
            raise ValueError(f"class '{c.name}' has no counterpart under {change}; add the class it turns into")
        if by_content[content] != c.name:
            pairs[c.name] = by_content[content]
    return pairs
