"""Compute the inputs of the frozen track: a backbone's features of every video and view, once, in a store.

`extract` is the only function that decodes and encodes, and it imports what it needs: stages that read the store do not
depend on it. Letters: N videos, V views (view = clip * n_crops + crop), T time steps (the frames, or fewer if the
encoder sees several frames at once), D width, C classes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidprism.config import Config, ConfigError, nearest, paths
from vidprism.features.store import INDEX_COLUMNS, SPLITS, FeatureStore, open_store, values_sha256
from vidprism.runtime import progress

# The choices of the protocol that determine the arrays.
CHOICES = ("split", "frames", "n_clips", "n_crops", "sampling", "resize", "prompt_sets")


def extract(config: Config, dataset: str, name: str) -> FeatureStore:
    """Encode every readable video of a dataset with the backbone `name` of the profile, for each of its frame counts.

    Train and dev get one centre view, test gets n_clips * n_crops. The store is written to a temporary folder and moved
    into place when complete, so that a failure leaves an earlier store untouched.

    Raises:
        ConfigError: the profile has no such backbone, or names an unknown prompt set.
        DatasetError: the dataset has not been prepared.
        FloatingPointError: a feature is not finite in half precision.
    """
    from vidprism import backbones, datasets
    from vidprism.features import encode
    from vidprism.videos import frame_cache, manifest

    df, root = manifest.load_manifest(config, dataset), paths.dataset_root(config, dataset)
    module = datasets.load_dataset(dataset)
    class_names = module.class_names(root)
    spec = config.profile.backbones[_known(config, name)]
    backbone = backbones.load_backbone(dataclasses.replace(spec, weights=paths.backbone(config, name)))
    protocol = dataclasses.replace(config.profile.protocol, frames=spec.frames or config.profile.protocol.frames)
    folder = paths.features(config, dataset, name)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    class_texts = [module.class_text(name) for name in class_names]
    text = encode.text_features(backbone, protocol.prompt_sets, class_texts)
    if text is not None:
        np.save(partial / "text.npy", text)
    source = frame_cache.source(config, dataset, backbone.image_size)
    index, videos_sha256 = _write_arrays(df, root / "videos", backbone, protocol, partial, source)
    index.to_csv(partial / "index.csv", index=False)
    counts = index.groupby("split")["readable"].agg(listed="size", readable="sum")
    meta = {
        "dataset": dataset,
        "generated": config.profile.generated,
        "backbone": {
            "name": name,
            **dataclasses.asdict(spec),
            "weights_sha256": encode.weights_sha256(backbone),
            **_probe(paths.backbone(config, name)),
        },
        "dim": backbone.dim,
        "image_size_px": backbone.image_size,
        "logit_scale": float(backbone.logit_scale),
        "class_names": class_names,
        "class_texts": class_texts,
        **{key: value for key, value in dataclasses.asdict(protocol).items() if key in CHOICES},
        "split": protocol.split_of(dataset),
        "counts": json.loads(counts.to_json(orient="index")),
        "videos_sha256": videos_sha256,
    }
    if protocol.frame_cache:
        meta["frame_cache"] = protocol.frame_cache
    meta["fingerprint"] = features_fingerprint(df, meta)
    meta["values_sha256"] = values_sha256(partial)
    content = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
    (partial / "meta.json").write_text(content, encoding="utf-8")
    _replace(folder, partial)
    return open_store(folder)


def _known(config: Config, name: str) -> str:
    known = config.profile.backbones
    if name not in known:
        raise ConfigError(f"params.yaml: {config.profile.name} has no backbone '{name}'; {nearest(name, known)}")
    return name


def _probe(weights: str) -> dict[str, Any]:
    """The linear probe made by the stage that trained these weights, if any: records and tables repeat it."""
    report = Path(weights) / "pretraining.json"
    found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    return {"probe": found["probe"]} if "probe" in found else {}


def features_fingerprint(df: pd.DataFrame, meta: dict[str, Any]) -> str:
    """sha256 of everything that determines the features: manifest, bytes of the videos, choices of the protocol,
    weights.

    Args:
        df: the manifest.
        meta: a store's `meta`; `CHOICES`, videos_sha256, image_size_px and the backbone count.
    """
    decisive = {key: meta[key] for key in (*CHOICES, "videos_sha256", "image_size_px")}
    decisive["backbone"] = {key: meta["backbone"][key] for key in ("key", "model", "weights_sha256")}
    if meta["backbone"]["normalisation"] != "checkpoint":  # the checkpoint's own normalisation follows from the weights
        decisive["backbone"]["normalisation"] = meta["backbone"]["normalisation"]
    if "frame_cache" in meta:  # absent where frames come from the videos themselves
        decisive["frame_cache"] = meta["frame_cache"]
    content = df.to_csv(index=False) + json.dumps(decisive, sort_keys=True)
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def _write_arrays(
    df: pd.DataFrame, videos: Path, backbone: Any, protocol: Any, out: Path, source: Any
) -> tuple[pd.DataFrame, str]:
    """One array per split and frame count. Returns the index and one hash over the hashes of all files."""
    from vidprism.features import encode

    parts, digest = [], hashlib.sha256()
    for split in progress.track(SPLITS, "split"):
        part = df[df["split"] == split].reset_index(drop=True)
        n_clips, n_crops = encode.views(protocol, split)
        arrays = {
            t: np.lib.format.open_memmap(
                out / f"{split}_{t}f.npy",
                "w+",
                np.float16,
                (len(part), n_clips * n_crops, t // backbone.tubelet, backbone.dim),
            )
            for t in protocol.frames
        }
        reasons, hashes = encode.encode_split(part, videos, backbone, protocol, arrays, source)
        for array in arrays.values():
            array.flush()
        digest.update("\n".join([split, *hashes]).encode())
        part = part.assign(row=part.index, reason=reasons, readable=[not reason for reason in reasons])
        parts.append(part[list(INDEX_COLUMNS)])
    return pd.concat(parts, ignore_index=True), digest.hexdigest()


def _replace(folder: Path, partial: Path) -> None:
    """Move `partial` to `folder`; an earlier one is removed only once the new one is complete."""
    earlier = folder.with_name(f"{folder.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if folder.exists():
        folder.rename(earlier)
    partial.rename(folder)
    shutil.rmtree(earlier, ignore_errors=True)
