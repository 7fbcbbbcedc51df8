"""An optional cache of frames (`protocol.frame_cache`): every readable video of a prepared dataset is decoded once and
stored as one JPEG per frame, with a short side of at most 256 pixels, so that reading a clip of T frames takes T seeks.

`python -m vidprism.videos.frame_cache <dataset>` builds it. After an interruption it continues with the incomplete
shards.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vidprism.config import Config, ConfigError, load_config, paths
from vidprism.datasets import DatasetError
from vidprism.runtime import progress
from vidprism.videos import clips, frame_shards, manifest
from vidprism.videos.sequential import StartToEnd
from vidprism.videos.ways import START_TO_END

VIDEOS_PER_SHARD = 64

Source = Callable[[str], "Path | clips.Frames"]  # from a path of the manifest to the input of `clips.read_views`


def build_cache(config: Config, dataset: str, threads: int = os.cpu_count() or 1) -> Path:
    """Write the missing parts of the cache of a prepared dataset, and return its folder.

    Raises:
        DatasetError: the dataset has not been prepared.
    """
    df, folder = manifest.load_manifest(config, dataset), paths.frames(config, dataset)
    videos, listed = paths.dataset_root(config, dataset) / "videos", df.loc[df["readable"], "path"].tolist()
    parts = {
        folder / f"{start // VIDEOS_PER_SHARD:05d}.jpegs": listed[start : start + VIDEOS_PER_SHARD]
        for start in range(0, len(listed), VIDEOS_PER_SHARD)
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.with_suffix(".jpegs") not in parts:  # left over from a longer list, or incomplete
            file.unlink()
    with ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda shard: frame_shards.write_shard(shard, videos, parts[shard]), parts)
        for _ in progress.track(done, "part of the frame cache", len(parts)):
            pass
    return folder


def source(config: Config, dataset: str, size_px: int) -> Source:
    """Where the frames of a dataset's videos are read: from their files or, with `protocol.frame_cache`, from the
    cache.

    Args:
        size_px: size of the views that will be made of them.

    Raises:
        DatasetError: the dataset has not been prepared.
        ConfigError: there is no cache, or its frames are smaller than the views. The function that is returned raises
            it for a video that the cache lacks, or holds in another state than the file's, and `Unreadable` for one
            that is missing or could not be decoded.
    """
    videos, folder = paths.dataset_root(config, dataset) / "videos", paths.frames(config, dataset)
    if not config.profile.protocol.frame_cache:
        df = manifest.load_manifest(config, dataset)
        slow = frozenset(df.loc[df["reader"] == START_TO_END, "path"])
        return functools.partial(_file, videos, slow)  # unlike a lambda, it can be sent to a worker process
    if size_px > frame_shards.SHORT_SIDE_PX:
        raise ConfigError(
            f"params.yaml: protocol.frame_cache holds frames of {frame_shards.SHORT_SIDE_PX} px, but the backbone "
            f"takes {size_px} px; leave frame_cache empty"
        )
    command = f"python -m vidprism.videos.frame_cache {dataset} --profile {config.profile.name}"
    found = {
        entry.path: (shard, entry) for shard in folder.glob("*.jpegs") for entry in frame_shards.read_shard_table(shard)
    }
    if not found:
        raise ConfigError(f"'{folder}' holds no frames, but protocol.frame_cache is on; run `{command}`")
    return functools.partial(_cached, found, videos, f"'{folder}' lacks '{{}}' as it is now; run `{command}`")


def _file(videos: Path, slow: frozenset[str], path: str) -> Path | StartToEnd:
    return StartToEnd(videos / path) if path in slow else videos / path


def _cached(
    found: dict[str, tuple[Path, frame_shards.ShardEntry]], videos: Path, stale: str, path: str
) -> frame_shards.CachedFrames:
    if not (videos / path).is_file():
        raise clips.Unreadable("missing file")
    if path not in found:
        raise ConfigError(stale.format(path))
    shard, entry = found[path]
    if (entry.version, entry.size, entry.mtime_ns) != (frame_shards.VERSION, *frame_shards.state(videos / path)):
        raise ConfigError(stale.format(path))
    if entry.reason:
        raise clips.Unreadable(entry.reason)
    return frame_shards.CachedFrames(shard, entry)


def main(arguments: list[str]) -> int:
    """Build the cache of one dataset and print its size; the exit status is 1 if that is not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m vidprism.videos.frame_cache",
        description="Decode the videos of a prepared dataset into a frame cache.",
    )
    parser.add_argument("dataset")
    parser.add_argument("--profile", help="profile that prepared the dataset; default: the one params.yaml chooses")
    given = parser.parse_args(arguments)
    try:
        folder = build_cache(load_config(given.profile), given.dataset)
    except (ConfigError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
