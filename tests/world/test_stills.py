"""Captioned stills: what a caption says is what the picture shows, and no pixel of a test video is in it."""

import numpy as np

from vidprism.world import realpixels
from vidprism.world.backgrounds import TEXTURES
from vidprism.world.objects import CATEGORIES, COLOURS
from vidprism.world.random import stream
from vidprism.world.stills import draw, make_pool


def test_captions_name_what_is_there() -> None:
    stills = draw(make_pool(84, 3), 300, stream("stills"))
    images, captions = stills.images, stills.captions
    assert images.shape == (300, 48, 48, 3) and images.dtype == np.uint8
    words = " ".join(captions).split()
    assert all(a in c or "something" in c or "empty" in c for a, c in zip(stills.categories, captions, strict=True))
    assert set(CATEGORIES) <= set(words) and set(COLOURS) <= set(words) and set(TEXTURES) <= set(words)
    red = np.stack([i for i, c in zip(images, captions, strict=True) if " large red square at" in f" {c}"])
    reddest = (red[..., 0].astype(int) - red[..., 1:].max(-1)).max((1, 2))
    assert (reddest > 60).all()


def test_place_words() -> None:
    stills = draw(make_pool(84, 3), 2400, stream("places"))
    images, captions = stills.images, stills.captions
    for words, axis in ((("left", "right"), 1), (("top", "bottom"), 0)):
        centres = {w: [] for w in words}
        for image, caption in zip(images, captions, strict=True):
            where = caption.split(" at the ")[-1].split(" on a ")[0].split()
            if " white " in caption and "plain" in caption:
                bright = np.argwhere(image.min(-1) > 190)
                for w in set(words) & set(where):
                    centres[w] += [bright[:, axis].mean()] if len(bright) else []
        low, high = (np.array(centres[w]) for w in words)
        assert len(low) > 3 and len(high) > 3 and low.mean() + 8 < high.mean()


def test_real_pixels_of_the_test_fold_are_never_used(monkeypatch) -> None:
    folds = []
    for name in ("digit", "photo_tile"):
        original = getattr(realpixels, name)
        monkeypatch.setattr(realpixels, name, lambda c, fold, pick, f=original: folds.append(fold) or f(c, fold, pick))
    make_pool(84, 3)
    assert folds and 0 not in folds and realpixels.fold_of_group(1) == realpixels.fold_of_group(60) == 0


def test_folds_share_no_real_pixel() -> None:
    for photo in realpixels.PHOTOS:
        tiles = [{realpixels.photo_tile(photo, f, k).tobytes() for k in range(20)} for f in range(realpixels.N_FOLDS)]
        assert all(tiles) and sum(map(len, tiles)) == len(set().union(*tiles)) == 20
    for word in realpixels.DIGITS:
        digits = [{realpixels.digit(word, f, k).tobytes() for k in range(200)} for f in range(realpixels.N_FOLDS)]
        assert min(map(len, digits)) > 20 and not digits[0] & (digits[1] | digits[2] | digits[3])
