"""Random changes of a training clip (`train.augment`), the same for all of its frames.

These are what publications call random-resized crop, multi-scale crop, scale jitter, flip, colour jitter, grey and
RandAugment, as functions of a numpy generator: torchvision's classes draw from torch's global one, which repeats that
train in threads share. The changes of pixels are torchvision's. Mixing of clips is another setting
(`vidprism.finetuning.mixing`).

Letters: T frames, H height, W width, S side of the result, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vidprism.config import nearest
from vidprism.videos.clips import short_side

if TYPE_CHECKING:
    from torch import Tensor

AREAS, RATIOS = (0.08, 1.0), (3 / 4, 4 / 3)  # of a random-resized crop: share of the picture, width over height
SCALES = (1.0, 0.875, 0.75, 0.66)  # sides of a multi-scale crop over the short side
ROOM = 256 / 224  # short side before a crop of another size, over S
JITTER = (1.0, 1.15)  # short side before a crop of side S, over S
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.4, 0.1  # most change by the colour jitter
LEVELS = 30  # of RandAugment's magnitude


@dataclass(frozen=True)
class Augmentation:
    """One of the settings that `train.augment` names.

    Args:
        crop: "area" takes 8 to 100 % of the picture in a shape between 3:4 and 4:3; "scales" four sizes at five
            places; "jitter" a crop at random from a slightly enlarged picture.
        flip: whether half of the clips are mirrored, where the dataset allows it.
        colour: share of clips whose brightness, contrast, saturation and hue change.
        grey: share of clips that lose their colour.
        rand_augment: how many of RandAugment's changes, and their magnitude of 30; (0, 0) is none.
    """

    crop: Literal["area", "scales", "jitter"]
    flip: bool = True
    colour: float = 0.0
    grey: float = 0.0
    rand_augment: tuple[int, int] = (0, 0)


SETTINGS = {
    "released": Augmentation("area", grey=0.2),  # VidPrism's release, MoTE
    "area": Augmentation("area"),  # AIM on Kinetics
    "multi_scale": Augmentation("scales", colour=0.8, grey=0.2),  # X-CLIP, ViFi-CLIP
    "multi_scale_strong": Augmentation("scales", colour=0.8, grey=0.2, rand_augment=(2, 9)),  # ActionCLIP
    "jitter": Augmentation("jitter"),  # ST-Adapter and M2-CLIP on Kinetics
    "rand_augment": Augmentation("area", grey=0.2, rand_augment=(2, 9)),  # Text4Vis
    "rand_augment_strong": Augmentation("area", flip=False, rand_augment=(4, 7)),  # AIM, ST-Adapter on SSv2
}


def augmented(
    frames_THW3: np.ndarray, size_px: int, name: str, rng: np.random.Generator, may_flip: bool, resize: str = "bilinear"
) -> np.ndarray:
    """A changed clip, uint8 (T, S, S, 3), that depends only on the state of `rng`.

    Args:
        frames_THW3: uint8 frames as decoded.
        name: a key of `SETTINGS`.
        may_flip: whether a mirrored video of the dataset keeps its class.

    Raises:
        ValueError: there is no such setting.
    """
    import torch  # imported here: listing and inspecting videos must not import torch
    from torchvision.transforms.v2 import functional as pixels

    if name not in SETTINGS:
        raise ValueError(f"no augmentation '{name}' (params.yaml: train.augment); {nearest(name, SETTINGS)}")
    chosen = SETTINGS[name]
    enlarged = rng.uniform(*JITTER) if chosen.crop == "jitter" else ROOM
    frames_THW3 = short_side(frames_THW3, max(size_px, round(enlarged * size_px)), resize)
    height, width = frames_THW3.shape[1:3]
    box = BOXES[chosen.crop](height, width, size_px, rng)
    clip = torch.from_numpy(np.ascontiguousarray(frames_THW3)).permute(0, 3, 1, 2)
    clip = pixels.resized_crop(clip, *box, [size_px, size_px], pixels.InterpolationMode(resize), antialias=True)
    if rng.random() < 0.5 and chosen.flip and may_flip:
        clip = pixels.horizontal_flip(clip)
    n_changes, level = chosen.rand_augment
    for change in rng.choice(sorted(CHANGES), n_changes):
        clip = _changed(clip, str(change), level / LEVELS, rng)
    if rng.random() < chosen.colour:
        clip = _coloured(clip, rng)
    if rng.random() < chosen.grey:
        clip = pixels.rgb_to_grayscale(clip, num_output_channels=3)
    return clip.permute(0, 2, 3, 1).contiguous().numpy()


Box = tuple[int, int, int, int]  # top, left, height, width


def _area_box(height: int, width: int, size_px: int, rng: np.random.Generator) -> Box:
    """A share of the picture at a random place, in a random shape; the largest square if ten tries do not fit."""
    for _ in range(10):
        area, ratio = height * width * rng.uniform(*AREAS), np.exp(rng.uniform(*np.log(RATIOS)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def _scale_box(height: int, width: int, size_px: int, rng: np.random.Generator) -> Box:
    """One of four sides for height and width, at most one step apart, in a corner or the centre (TSN)."""
    sides = [int(min(height, width) * scale) for scale in SCALES]
    first = int(rng.integers(len(sides)))
    second = int(np.clip(first + rng.integers(-1, 2), 0, len(sides) - 1))
    h, w, place = sides[first], sides[second], int(rng.integers(5))
    if place == 4:
        return (height - h) // 2, (width - w) // 2, h, w
    return (height - h) * (place // 2), (width - w) * (place % 2), h, w


def _jitter_box(height: int, width: int, size_px: int, rng: np.random.Generator) -> Box:
    """A square of side S anywhere."""
    top, left = rng.integers(height - size_px + 1), rng.integers(width - size_px + 1)
    return int(top), int(left), size_px, size_px


BOXES = {"area": _area_box, "scales": _scale_box, "jitter": _jitter_box}


def _coloured(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, saturation and hue, each changed by a random amount, in a random order."""
    from torchvision.transforms.v2 import functional as pixels

    changes = [
        (pixels.adjust_brightness, 1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS)),
        (pixels.adjust_contrast, 1 + rng.uniform(-CONTRAST, CONTRAST)),
        (pixels.adjust_saturation, 1 + rng.uniform(-SATURATION, SATURATION)),
        (pixels.adjust_hue, rng.uniform(-HUE, HUE)),
    ]
    for i in rng.permutation(len(changes)):
        change, amount = changes[i]
        clip = change(clip, float(amount))
    return clip


# RandAugment's changes (Cubuk et al., 2020) at their greatest (None: no strength), and whether the sign is drawn.
CHANGES: dict[str, tuple[float | None, bool]] = {
    "identity": (None, False),
    "shear_x": (0.3, True),
    "shear_y": (0.3, True),
    "translate_x": (150 / 331, True),  # share of the side
    "translate_y": (150 / 331, True),
    "rotate": (30.0, True),  # degrees
    "brightness": (0.9, True),
    "saturation": (0.9, True),
    "contrast": (0.9, True),
    "sharpness": (0.9, True),
    "posterize": (4.0, False),  # bits taken away
    "solarize": (255.0, False),  # how far the threshold falls
    "autocontrast": (None, False),
    "equalize": (None, False),
}


def _changed(clip: Tensor, change: str, level: float, rng: np.random.Generator) -> Tensor:
    """One of RandAugment's changes at a `level` from 0 to 1 of its greatest strength."""
    from torchvision.transforms.v2 import functional as pixels

    most, signed = CHANGES[change]
    amount = level * (most or 0.0) * (-1 if signed and rng.random() < 0.5 else 1)
    side, still = clip.shape[-1], {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    if change in ("shear_x", "shear_y"):
        shear = [float(np.degrees(np.arctan(amount))), 0.0]
        return pixels.affine(clip, **{**still, "shear": shear if change == "shear_x" else shear[::-1]})
    if change in ("translate_x", "translate_y"):
        by = [round(amount * side), 0]
        return pixels.affine(clip, **{**still, "translate": by if change == "translate_x" else by[::-1]})
    if change == "rotate":
        return pixels.rotate(clip, amount)
    if change in ("autocontrast", "equalize"):
        return getattr(pixels, change)(clip)
    if change == "posterize":
        return pixels.posterize(clip, 8 - round(amount))
    if change == "solarize":
        return pixels.solarize(clip, 255 - amount)
    return clip if change == "identity" else getattr(pixels, f"adjust_{change}")(clip, 1 + amount)
