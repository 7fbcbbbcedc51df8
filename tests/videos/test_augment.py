"""Augmentation: the same for all frames, repeatable, what each part does, and what must not be flipped."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.small_config import small_config
from vidprism.config import paths
from vidprism.datasets import DatasetError
from vidprism.videos import augment
from vidprism.videos.manifest import prepare
from vidprism.videos.opposites import changed_by_mirror, may_flip

SIZE = 32


def clip(height: int = 60, width: int = 80, n: int = 4) -> np.ndarray:
    """The same coloured gradient in every frame."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1).astype(np.uint8)
    return np.repeat(picture[None], n, axis=0)


def changed(name: str, seed: int, may: bool = True, frames: np.ndarray | None = None) -> np.ndarray:
    frames = clip() if frames is None else frames
    return augment.augmented(frames, SIZE, name, np.random.default_rng(seed), may)


@pytest.mark.parametrize("name", augment.SETTINGS)
def test_frames_change_alike_and_the_seed_decides(name: str) -> None:
    found = [changed(name, seed) for seed in range(12)]
    for seed, one in enumerate(found):
        assert one.shape == (4, SIZE, SIZE, 3) and one.dtype == np.uint8
        assert all(np.array_equal(frame, one[0]) for frame in one)
        np.testing.assert_array_equal(one, changed(name, seed))
    assert len({one.tobytes() for one in found}) == 12


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (32, 33), (20, 24), (33, 300)])
@pytest.mark.parametrize("name", augment.SETTINGS)
def test_every_shape_of_picture_works(name: str, shape: tuple[int, int]) -> None:
    for seed in range(20):
        assert changed(name, seed, frames=clip(*shape)).shape == (4, SIZE, SIZE, 3)


def rises(one: np.ndarray) -> bool:
    """Whether the red channel still rises from left to right."""
    return bool(one[0, :, -1, 0].mean() > one[0, :, 0, 0].mean())


def test_half_of_the_clips_are_mirrored_where_that_is_allowed() -> None:
    share = np.mean([rises(changed("jitter", seed)) for seed in range(200)])
    assert 0.4 < share < 0.6
    assert all(rises(changed("jitter", seed, may=False)) for seed in range(50))
    assert not augment.SETTINGS["rand_augment_strong"].flip


def test_a_fifth_of_the_clips_is_grey() -> None:
    grey = [np.ptp(changed("released", seed).astype(int), axis=-1).max() <= 1 for seed in range(300)]
    assert 0.13 < np.mean(grey) < 0.27


def test_the_boxes_lie_in_the_picture() -> None:
    rng = np.random.default_rng(0)
    for kind, box in augment.BOXES.items():
        for _ in range(300):
            top, left, height, width = box(40, 70, SIZE, rng)
            assert 0 <= top <= 40 - height and 0 <= left <= 70 - width and height > 0 and width > 0, kind
    areas = [np.prod(augment.BOXES["area"](200, 200, SIZE, rng)[2:]) / 200**2 for _ in range(2000)]
    assert 0.07 < min(areas) < 0.1 and 0.9 < max(areas) <= 1 and abs(np.mean(areas) - 0.5) < 0.06
    sides = {augment.BOXES["scales"](100, 100, SIZE, rng)[2] for _ in range(200)}
    assert sides == {100, 87, 75, 66}


@pytest.mark.parametrize("change", augment.CHANGES)
def test_each_change_of_rand_augment_does_something_at_its_greatest_and_nothing_at_zero(change: str) -> None:
    import torch

    noise = np.random.default_rng(1).integers(40, 216, (2, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(noise).permute(0, 3, 1, 2)
    full = augment._changed(pixels, change, 1.0, np.random.default_rng(0))
    assert full.shape == pixels.shape and full.dtype == torch.uint8
    assert torch.equal(full, pixels) == (change == "identity")
    if augment.CHANGES[change][0] is not None:
        assert torch.equal(augment._changed(pixels, change, 0.0, np.random.default_rng(0)), pixels)


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'released'"):
        changed("release", 0)


def test_datasets_with_left_and_right_are_not_flipped(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ssv2")
    with pytest.raises(DatasetError, match="run the prepare stage"):
        may_flip(config, "ssv2")
    prepare(config, "ssv2")
    assert not may_flip(config, "ssv2")
    config = small_config(tmp_path, "ucf101")
    prepare(config, "ucf101")
    assert may_flip(config, "ucf101")
    world = paths.dataset_root(config, "ucf101") / "world.json"
    assert not changed_by_mirror(world.parent)
    world.write_text(json.dumps({"mirror": {"clockwise": "counterclockwise"}}))
    assert changed_by_mirror(world.parent)
