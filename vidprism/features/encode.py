"""Encode videos and class names with a frozen backbone into arrays on disk, one video per thread.

Letters: N videos, V views (view = clip * n_crops + crop), T frames, F time steps (T over the encoder's tubelet), D
width, C classes, U distinct frames of a video, K crops, S pixels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pandas as pd
import torch

from vidprism.backbones import Backbone
from vidprism.config import ProtocolConfig
from vidprism.features.prompts import sentences
from vidprism.runtime import progress
from vidprism.videos.clips import Frames, Unreadable, read_views
from vidprism.videos.frame_cache import Source

# Each thread decodes and encodes one video after another with one thread of torch: 30 to 40 frames fit the
# cache of a core, which large batches do not, and a feature depends only on its own video.
THREADS = os.cpu_count() or 1
SENTENCES_AT_ONCE = 256  # 400 classes have 11,200 sentences in one prompt set: too many for one batch on a GPU


def text_features(backbone: Backbone, prompt_sets: Iterable[str], class_texts: list[str]) -> np.ndarray | None:
    """Class texts (n_prompt_sets, C, D) float32: the mean over the sentences of a set, normalised to unit length again.
    None if the backbone has no text tower.

    Raises:
        ConfigError: unknown prompt set.
    """
    return _text_features(backbone, prompt_sets, class_texts) if backbone.has_text else None


def _text_features(backbone: Backbone, prompt_sets: Iterable[str], class_texts: list[str]) -> np.ndarray:
    sets = []
    for prompt_set in prompt_sets:
        prompts = [sentences(prompt_set, text) for text in class_texts]
        encoded = _encode_text(backbone, [sentence for of_class in prompts for sentence in of_class])
        mean_CD = encoded.float().cpu().numpy().reshape(len(prompts), len(prompts[0]), -1).mean(axis=1)
        sets.append(mean_CD / np.linalg.norm(mean_CD, axis=1, keepdims=True))
    return np.stack(sets).astype(np.float32)


def kept_text_features(
    backbone: Backbone, model: str, prompt_sets: Iterable[str], class_texts: list[str], folder: Path
) -> np.ndarray | None:
    """`text_features`, read from `folder` if they are there; otherwise encoded and stored there.

    The name of a file is a hash of its inputs: the visual weights, the model's name, the kind of device, the sentences,
    and the encoding of the first sentence, which represents the weights of the text tower.

    Raises:
        ConfigError: unknown prompt set.
    """
    if not backbone.has_text:
        return None
    prompt_sets = tuple(prompt_sets)
    asked = [[sentences(prompt_set, text) for text in class_texts] for prompt_set in prompt_sets]
    device = next(backbone.module.parameters()).device.type
    digest = hashlib.sha256(json.dumps([weights_sha256(backbone), model, device, asked]).encode())
    digest.update(_encode_text(backbone, asked[0][0][:1]).float().cpu().numpy().tobytes())
    path = folder / f"{digest.hexdigest()}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
            np.save(file, _text_features(backbone, prompt_sets, class_texts))
        os.replace(file.name, path)  # written completely or not at all, also if two processes write it
    return np.load(path)


def _encode_text(backbone: Backbone, texts: list[str]) -> torch.Tensor:
    with torch.inference_mode():
        parts = [texts[i : i + SENTENCES_AT_ONCE] for i in range(0, len(texts), SENTENCES_AT_ONCE)]
        return torch.cat([backbone.encode_text(part) for part in parts])


def weights_sha256(backbone: Backbone) -> str:
    """Hash of the visual weights: their names, and their values as float32."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.module.state_dict().items()):
        digest.update(name.encode() + b"\0" + tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def encode_split(
    part: pd.DataFrame,
    videos: Path,
    backbone: Backbone,
    protocol: ProtocolConfig,
    arrays: Mapping[int, np.ndarray],
    source: Source,
) -> tuple[list[str], list[str]]:
    """Fill `arrays` (T -> (N, V, F, D) float16) with the features of one split's readable videos.

    Args:
        part: rows of the manifest, numbered from 0.
        videos: the folder that the manifest's paths are relative to.
        source: where the frames of such a path are read (see `vidprism.videos.frame_cache.source`).

    Returns:
        For every row the reason why it could not be read ("" where it could), and its file's sha256.

    Raises:
        FloatingPointError: a feature is not finite in half precision.
    """
    reasons, hashes = list(part["reason"]), [""] * len(part)
    readable = np.flatnonzero(part["readable"]).tolist()

    def encode(row: int) -> tuple[str, str]:
        place = {t: array[row] for t, array in arrays.items()}
        path = part["path"].iloc[row]
        return _encode_video(videos / path, lambda: source(path), part["split"].iloc[row], backbone, protocol, place)

    n_torch_threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            done = progress.track(pool.map(encode, readable), "video", len(readable))
            for row, found in zip(readable, done, strict=True):
                reasons[row], hashes[row] = found
    finally:
        torch.set_num_threads(n_torch_threads)
    return reasons, hashes


def views(protocol: ProtocolConfig, split: str) -> tuple[int, int]:
    """(n_clips, n_crops) of a split: those of the protocol for test, one centre view for train and dev."""
    return (protocol.n_clips, protocol.n_crops) if split == "test" else (1, 1)


def video_features(path: Path, backbone: Backbone, protocol: ProtocolConfig, frames: int) -> np.ndarray:
    """Features (V, F, D) float16 of one video with the views of a test video, for clips of `frames` frames.

    Raises:
        Unreadable: the video cannot be decoded.
        FloatingPointError: a feature is not finite in half precision.
    """
    n_clips, n_crops = views(protocol, "test")
    place_VFD = np.zeros((n_clips * n_crops, frames // backbone.tubelet, backbone.dim), np.float16)
    only = dataclasses.replace(protocol, frames=(frames,))
    reason, _ = _encode_video(path, lambda: path, "test", backbone, only, {frames: place_VFD})
    if reason:
        raise Unreadable(reason)
    return place_VFD


def _encode_video(
    path: Path,
    frames: Callable[[], Path | Frames],
    split: str,
    backbone: Backbone,
    protocol: ProtocolConfig,
    place: dict[int, np.ndarray],
) -> tuple[str, str]:
    """Encode one video and store its features for all clip lengths; `place` is T -> (V, F, D)."""
    n_clips, n_crops = views(protocol, split)
    choices = (protocol.frames, n_clips, n_crops, backbone.image_size, protocol.sampling, protocol.resize)
    try:
        crops, positions = read_views(frames(), *choices)
    except Unreadable as error:
        return error.reason, ""
    for t, features_KCFD in _features(backbone, crops, positions).items():
        if not np.isfinite(features_KCFD).all():
            raise FloatingPointError(
                f"features of {path.name} are not finite in half precision; check the backbone's weights"
            )
        place[t][:] = features_KCFD.swapaxes(0, 1).reshape(place[t].shape)
    with path.open("rb") as file:
        return "", hashlib.file_digest(file, "sha256").hexdigest()


def _features(backbone: Backbone, crops_KUSS3: np.ndarray, positions: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Half-precision features (K crops, n_clips, F time steps, D) for each T; `positions` is T -> (n_clips, T) in U.

    If the encoder sees single frames, each distinct frame is encoded once; otherwise each clip is encoded as a whole.
    """

    def encode(clips: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return backbone.encode_clips(torch.from_numpy(clips)).cpu().numpy().astype(np.float16)

    if backbone.tubelet == 1:
        encoded_KUD = encode(crops_KUSS3)
        return {t: encoded_KUD[:, index] for t, index in positions.items()}
    return {t: np.stack([encode(crop[index]) for crop in crops_KUSS3]) for t, index in positions.items()}
