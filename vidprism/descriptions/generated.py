"""The suite's own sentences about the classes of the generated datasets: four that say what is seen, four that say what
happens. They are short, because the small text tower reads 20 tokens.
"""

from __future__ import annotations

from vidprism.world.classes import DATASETS, ActionClass

_LOOKS = {
    "circle": ("a round disc", "a ball without corners", "a filled circle"),
    "square": ("four equal sides", "a box with four corners", "a filled square"),
    "triangle": ("three corners", "a shape with three sides", "a filled triangle"),
    "star": ("five points around a centre", "a pointed star", "rays like those of a star"),
    "cross": ("two crossing bars", "a plus sign", "four arms of equal length"),
    "ring": ("a round band with a hole", "a hoop", "a circle that is empty inside"),
    "heart": ("two round lobes above a tip", "a heart", "a shape with a notch on top"),
    "moon": ("a crescent", "a thin curved sickle", "a half moon"),
    "arrow": ("a shaft with a pointed head", "an arrow", "a sign that points to one side"),
    "bar": ("a long thin strip", "a narrow bar", "a stick"),
    "zero": ("a handwritten zero", "an oval digit with a hole", "one closed curve of a pen"),
    "four": ("a handwritten four", "a digit with an open top", "crossing strokes of a pen"),
}
_HAPPENS = {
    "right": ("it begins at the left", "it moves to the right", "it crosses the middle", "it ends at the right"),
    "left": ("it begins at the right", "it moves to the left", "it crosses the middle", "it ends at the left"),
    "down": ("it begins at the top", "it moves down", "it crosses the middle", "it ends at the bottom"),
    "up": ("it begins at the bottom", "it moves up", "it crosses the middle", "it ends at the top"),
    "approach": ("it begins small and far away", "it comes closer", "it grows", "it ends large and near"),
    "recede": ("it begins large and near", "it goes away", "it shrinks", "it ends small and far away"),
    "appear": ("nothing is there at first", "it fades in", "it becomes visible", "it is clear at the end"),
    "vanish": ("it is clear at first", "it fades out", "it becomes invisible", "nothing is there at the end"),
    "right_and_back": (
        "it goes to the right first",
        "it turns at the right",
        "it comes back",
        "it ends where it began",
    ),
    "left_and_back": ("it goes to the left first", "it turns at the left", "it comes back", "it ends where it began"),
    "down_and_back": ("it goes down first", "it turns at the bottom", "it comes back up", "it ends where it began"),
    "up_and_back": ("it goes up first", "it turns at the top", "it comes back down", "it ends where it began"),
    "clockwise": (
        "it circles the centre",
        "from the top it goes right",
        "it turns like a clock",
        "it goes round twice",
    ),
    "counterclockwise": (
        "it circles the centre",
        "from the top it goes left",
        "it turns against a clock",
        "it goes round twice",
    ),
    "grow_slowly": ("it grows slowly", "it shrinks fast", "most of the time it grows", "it falls back suddenly"),
    "grow_fast": ("it grows fast", "it shrinks slowly", "most of the time it shrinks", "it jumps up suddenly"),
    "brighten_slowly": ("it brightens slowly", "it dims fast", "most of the time it brightens", "it dims suddenly"),
    "brighten_fast": ("it brightens fast", "it dims slowly", "most of the time it dims", "it lights up suddenly"),
    "size_leads": (
        "it grows before it brightens",
        "large while still dim",
        "it shrinks before it dims",
        "its size is ahead",
    ),
    "brightness_leads": (
        "it brightens before it grows",
        "bright while still small",
        "it dims before it shrinks",
        "its light is ahead",
    ),
}
_ANY_LOOK = ("a small coloured shape", "one object", "a shape of one colour")
_ANY_MOTION = (
    "it may move in any way",
    "it may grow or shrink",
    "its motion does not matter",
    "it is seen for two seconds",
)


def written_for(dataset: str, name: str) -> dict[str, list[str]]:
    """Four sentences "spatial" and four "temporal" about a class of a generated dataset.

    Raises:
        KeyError: the dataset has no such class.
    """
    of_class = {c.name: c for c in DATASETS[dataset]} | {_plain(c.name): c for c in DATASETS[dataset]}
    found = of_class[name]
    return {"spatial": _seen(found), "temporal": _done(found)}


def _plain(name: str) -> str:
    """The name as a list of Something-Something has it in a manifest, without the brackets of its placeholders."""
    return name.replace("[", "").replace("]", "")


def _seen(c: ActionClass) -> list[str]:
    looks = _LOOKS[c.categories[0]] if len(c.categories) == 1 else _ANY_LOOK
    where = f"on a {c.textures[0]} background" if len(c.textures) == 1 else "on some background"
    colour = f"{c.colours[0]} " if len(c.colours) == 1 else ""
    thing = c.categories[0] if len(c.categories) == 1 else "shape"
    return [f"a {colour}{thing} {where}", *looks]


def _done(c: ActionClass) -> list[str]:
    return list(_HAPPENS[c.motions[0]] if len(c.motions) == 1 else _ANY_MOTION)
