"""The classes of the four generated datasets: which objects, which colours, which backgrounds, which motions.

mini-UCF is told by what is seen, mini-SSv2 by how it moves, mini-HMDB by both, and mini-K400 holds all three kinds. The
backgrounds of the three small datasets are drawn, so that no two clips share pixels of a photograph. What moves is one
of few shapes, colours and backgrounds, so that 16 clips are enough to see past them. Names follow the style of the real
dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidprism.world.backgrounds import TEXTURES
from vidprism.world.motions import MOTIONS
from vidprism.world.objects import CATEGORIES, COLOURS


@dataclass(frozen=True)
class ActionClass:
    """One class: its official-style name, the words a prompt uses, and what its videos draw from, all at
    random.
    """

    name: str
    text: str
    categories: tuple[str, ...] = tuple(CATEGORIES)
    colours: tuple[str, ...] = tuple(COLOURS)
    textures: tuple[str, ...] = TEXTURES
    motions: tuple[str, ...] = tuple(MOTIONS)


MOVED = ("circle", "star", "heart", "square")
SHADES = ("red", "green", "blue", "yellow")
BACKGROUNDS = ("plain", "striped")


def _seen(
    name: str, text: str, category: str, colours: tuple[str, ...] = tuple(COLOURS), textures: tuple[str, ...] = TEXTURES
) -> ActionClass:
    return ActionClass(name, text, (category,), colours, textures)


def _acting(name: str, category: str, motion: str) -> ActionClass:
    return ActionClass(name, name.replace("_", " "), (category,), SHADES, BACKGROUNDS, (motion,))


def _motion(name: str, motion: str) -> ActionClass:
    return ActionClass(name, name.replace("[", "").replace("]", "").lower(), MOVED, SHADES, BACKGROUNDS, (motion,))


# Each of colour, shape and background alone tells one class in four or six. No caption of the small CLIP holds the word
# "ball": as in real datasets, classes do not always have the names that captions use.
_UCF101 = tuple(
    _seen(
        f"{colour.capitalize()}{word.capitalize()}On{texture.capitalize()}Background",
        f"{colour} {word} on {texture} background",
        shape,
        (colour,),
        (texture,),
    )
    for colour in ("red", "blue")
    for shape, word in (("circle", "ball"), ("star", "star"), ("heart", "heart"))
    for texture in ("striped", "dotted")
)

_HMDB51 = (
    _acting("star_move_left", "star", "left"),
    _acting("star_move_right", "star", "right"),
    _acting("heart_move_up", "heart", "up"),
    _acting("heart_move_down", "heart", "down"),
    _acting("ring_circle_clockwise", "ring", "clockwise"),
    _acting("ring_circle_counterclockwise", "ring", "counterclockwise"),
    _acting("cross_move_up_and_back", "cross", "up_and_back"),
    _acting("cross_move_down_and_back", "cross", "down_and_back"),
    _acting("moon_grow_then_brighten", "moon", "size_leads"),
    _acting("moon_brighten_then_grow", "moon", "brightness_leads"),
    _acting("square_brighten_slowly", "square", "brighten_slowly"),
    _acting("square_brighten_fast", "square", "brighten_fast"),
)

_SSV2 = (
    _motion("Moving [something] from left to right", "right"),
    _motion("Moving [something] from right to left", "left"),
    _motion("Moving [something] closer", "approach"),
    _motion("Moving [something] away", "recede"),
    _motion("Moving [something] right and back", "right_and_back"),
    _motion("Moving [something] left and back", "left_and_back"),
    _motion("Circling [something] clockwise", "clockwise"),
    _motion("Circling [something] counterclockwise", "counterclockwise"),
    _motion("Growing [something] slowly", "grow_slowly"),
    _motion("Growing [something] fast", "grow_fast"),
    _motion("Growing [something] before it brightens", "size_leads"),
    _motion("Brightening [something] before it grows", "brightness_leads"),
)

_KINETICS400 = (
    _seen("red circle", "red circle", "circle", ("red",)),
    _seen("blue circle", "blue circle", "circle", ("blue",)),
    _seen("red square", "red square", "square", ("red",)),
    _seen("blue square", "blue square", "square", ("blue",)),
    _seen("handwritten zero", "handwritten zero", "zero"),
    _seen("handwritten four", "handwritten four", "four"),
    _acting("star moving left", "star", "left"),
    _acting("star moving right", "star", "right"),
    _acting("heart approaching", "heart", "approach"),
    _acting("heart receding", "heart", "recede"),
    _acting("moon circling clockwise", "moon", "clockwise"),
    _acting("moon circling counterclockwise", "moon", "counterclockwise"),
    _acting("ring moving up and back", "ring", "up_and_back"),
    _acting("ring moving down and back", "ring", "down_and_back"),
    _acting("cross appearing", "cross", "appear"),
    _acting("cross vanishing", "cross", "vanish"),
    _acting("arrow growing then brightening", "arrow", "size_leads"),
    _acting("arrow brightening then growing", "arrow", "brightness_leads"),
    _motion("something brightening slowly", "brighten_slowly"),
    _motion("something brightening fast", "brighten_fast"),
)

DATASETS: dict[str, tuple[ActionClass, ...]] = {
    "ucf101": _UCF101,
    "hmdb51": _HMDB51,
    "ssv2": _SSV2,
    "kinetics400": _KINETICS400,
}


def counterparts(classes: tuple[ActionClass, ...], change: str) -> dict[str, str]:
    """Classes that `change` maps to another class: a "reversal" of time, a "mirror" (left for right), or "opposite",
    the class that only differs in the direction or rhythm of its motion.

    All other classes map to themselves.

    Raises:
        ValueError: a class has no counterpart, so the world would not be closed under the change.
    """
    by_content = {(c.categories, c.colours, c.textures, frozenset(c.motions)): c.name for c in classes}
    pairs = {}
    for c in classes:
        changed = frozenset(getattr(MOTIONS[m], change) for m in c.motions)
        content = (c.categories, c.colours, c.textures, changed)
        if content not in by_content:
            raise ValueError(f"class '{c.name}' has no counterpart under {change}; add the class it turns into")
        if by_content[content] != c.name:
            pairs[c.name] = by_content[content]
    return pairs


def told_by_order(classes: tuple[ActionClass, ...], name: str) -> bool:
    """Whether only the order of frames within a half tells a class from its opposite (see `Motion.order`)."""
    return all(MOTIONS[m].order for c in classes if c.name == name for m in c.motions)
