"""Draw the pictures of docs/world.md: twelve frames of a training clip of some classes.

    python -m tools.world_pictures

Writes docs/images/world-<dataset>.png. A row is a class, and time runs from left to right. Two classes that only differ
in the direction or rhythm of their motion stand below each other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vidprism.config import WorldConfig
from vidprism.world.plan import Clip, clips_of, course, look
from vidprism.world.render import render

SHOWN = {
    "ucf101": ("RedBallOnStripedBackground", "BlueStarOnDottedBackground", "RedHeartOnDottedBackground"),
    "hmdb51": ("star_move_left", "star_move_right", "ring_circle_clockwise", "moon_grow_then_brighten"),
    "ssv2": (
        "Moving [something] right and back",
        "Moving [something] left and back",
        "Growing [something] before it brightens",
        "Brightening [something] before it grows",
    ),
    "kinetics400": ("handwritten four", "heart approaching", "something brightening fast"),
}
FRAMES, SCALE, GAP, TEXT_HEIGHT = 12, 1.25, 3, 14  # the last two in pixels


def strip(clip: Clip, world: WorldConfig) -> np.ndarray:
    """Evenly spaced frames of a clip side by side, (H, W, 3) uint8, with a white gap between them."""
    frames = render(look(clip, world.seed), course(clip, world))
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]
    height, width = (round(SCALE * side) for side in chosen.shape[1:3])
    sheet = np.full((height, FRAMES * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, frame in enumerate(chosen):
        resized = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)
        sheet[:, i * (width + GAP) : i * (width + GAP) + width] = np.asarray(resized)
    return sheet


def sheet(dataset: str, names: tuple[str, ...], world: WorldConfig) -> Image.Image:
    """A strip for each class, with its name above."""
    clips = {clip.action.name: clip for clip in reversed(clips_of(dataset, world)) if clip.split == "train"}
    strips = [strip(clips[name], world) for name in names]
    row = strips[0].shape[0] + TEXT_HEIGHT + GAP
    picture = Image.new("RGB", (strips[0].shape[1], row * len(names)), "white")
    draw = ImageDraw.Draw(picture)
    for i, (name, pixels) in enumerate(zip(names, strips, strict=True)):
        draw.text((0, i * row), name, fill="black")
        picture.paste(Image.fromarray(pixels), (0, i * row + TEXT_HEIGHT))
    return picture


def main() -> None:
    """Write a picture for each dataset."""
    for dataset, names in SHOWN.items():
        path = Path("docs/images") / f"world-{dataset}.png"
        sheet(dataset, names, WorldConfig()).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
