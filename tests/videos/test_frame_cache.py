"""The frame cache: its content, its cost in pixels, continuing after an interruption, and missing caches."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.features.test_extract import FakeBackbone
from tests.small_config import small_config
from tools.miniature import write_video
from vidprism import backbones
from vidprism.config import Config, ConfigError, paths
from vidprism.datasets import DatasetError
from vidprism.features import extract
from vidprism.features.store import SPLITS
from vidprism.finetuning.inputs import VideoInputs
from vidprism.videos import container, frame_cache, frame_shards, manifest
from vidprism.videos.clips import Unreadable, load_views, read_clip, short_side
from vidprism.videos.sequential import StartToEnd

DATASET = "ucf101"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(frame_cache, "VIDEOS_PER_SHARD", 8)
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": FakeBackbone())
    config = small_config(tmp_path, DATASET, frame_cache="jpeg", n_clips=2)
    manifest.prepare(config, DATASET)
    return config


def without_cache(config: Config) -> Config:
    protocol = dataclasses.replace(config.profile.protocol, frame_cache="")
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, protocol=protocol))


def files(config: Config) -> dict[str, int]:
    """Name and time of change of every file of the cache."""
    return {f.name: f.stat().st_mtime_ns for f in paths.frames(config, DATASET).iterdir()}


def test_frames_are_those_of_the_video(config: Config) -> None:
    frame_cache.build_cache(config, DATASET)
    assert sorted(files(config)) == [f"{i:05d}.{kind}" for i in range(5) for kind in ("csv", "jpegs")]
    source, videos = frame_cache.source(config, DATASET, 24), paths.dataset_root(config, DATASET) / "videos"
    for path in manifest.load_manifest(config, DATASET)["path"]:
        cached, wanted = source(path), read_clip(videos / path, range(12))
        assert len(cached) == 12
        got = cached.read(np.array([0, 5, 11]))
        assert got.shape == (3, 48, 64, 3) and got.dtype == np.uint8
        assert np.abs(got.astype(int) - wanted[[0, 5, 11]]).mean() < 2
        views = load_views(cached, 8, 2, 3, 24)
        assert np.abs(views.astype(int) - load_views(videos / path, 8, 2, 3, 24)).mean() < 2


@pytest.mark.parametrize("size, stored", [((400, 300), (256, 341)), ((300, 400), (341, 256)), ((320, 240), (240, 320))])
def test_only_large_frames_are_made_smaller(tmp_path: Path, size: tuple[int, int], stored: tuple[int, int]) -> None:
    write_video(tmp_path / "a.mp4", n_frames=40, size=size)
    frame_shards.write_shard(tmp_path / "0.jpegs", tmp_path, ["a.mp4"])
    (entry,) = frame_shards.read_shard_table(tmp_path / "0.jpegs")
    frames = frame_shards.CachedFrames(tmp_path / "0.jpegs", entry).read(np.arange(40))
    assert frames.shape == (40, *stored, 3)
    wanted = short_side(read_clip(tmp_path / "a.mp4", range(40)), min(256, *size))
    assert np.abs(frames.astype(int) - wanted).mean() < 2


def test_both_tracks_read_the_cache(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = without_cache(config)
    wanted, decoded = extract.extract(plain, DATASET, "mini_clip"), VideoInputs(plain, DATASET, 8, "mini_clip")
    wanted_clips, wanted_features = decoded.read("dev", np.arange(3)), np.array(wanted.load("test", 8))
    frame_cache.build_cache(config, DATASET)
    monkeypatch.setattr(container, "check_file", None)  # no video can be opened from here on
    store, inputs = extract.extract(config, DATASET, "mini_clip"), VideoInputs(config, DATASET, 8, "mini_clip")
    assert np.abs(inputs.read("dev", np.arange(3)).astype(int) - wanted_clips).mean() < 2
    np.testing.assert_allclose(store.load("test", 8), wanted_features, atol=0.2)
    assert store.meta["frame_cache"] == "jpeg" and "frame_cache" not in wanted.meta
    assert store.meta["fingerprint"] != wanted.meta["fingerprint"] and inputs.fingerprint != decoded.fingerprint


def test_a_run_goes_on_where_it_stopped(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    append, left = frame_shards._append, [20]

    def interrupted(*arguments: object) -> frame_shards.ShardEntry:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return append(*arguments)

    monkeypatch.setattr(frame_shards, "_append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        frame_cache.build_cache(config, DATASET, threads=1)
    before = files(config)
    assert {"00000.csv", "00001.csv", "00002.jpegs.partial"} <= before.keys() and "00002.csv" not in before
    monkeypatch.setattr(frame_shards, "_append", append)
    frame_cache.build_cache(config, DATASET, threads=2)
    after = files(config)
    assert len(after) == 10 and all(after[f"0000{i}.jpegs"] == before[f"0000{i}.jpegs"] for i in range(2))
    frame_cache.build_cache(config, DATASET)
    assert files(config) == after


def test_only_the_shard_of_a_changed_video_is_built_again(config: Config) -> None:
    frame_cache.build_cache(config, DATASET)
    before, path = files(config), manifest.load_manifest(config, DATASET)["path"].iloc[9]
    file = paths.dataset_root(config, DATASET) / "videos" / path
    write_video(file, n_frames=20)
    with pytest.raises(
        ConfigError, match=rf"lacks '{path}' as it is now; run `python -m vidprism.videos.frame_cache ucf101"
    ):
        frame_cache.source(config, DATASET, 24)(path)
    frame_cache.build_cache(config, DATASET)
    after = files(config)
    assert {name for name in after if after[name] != before[name]} == {"00001.csv", "00001.jpegs"}
    assert len(frame_cache.source(config, DATASET, 24)(path)) == 20


def test_shards_of_a_longer_list_go(config: Config) -> None:
    folder = frame_cache.build_cache(config, DATASET)
    (folder / "00005.jpegs").write_bytes(b"")
    (folder / "00005.csv").write_text("")
    frame_cache.build_cache(config, DATASET)
    assert len(files(config)) == 10


def test_an_unreadable_video_keeps_its_reason(config: Config) -> None:
    listed = manifest.load_manifest(config, DATASET)["path"]
    videos = paths.dataset_root(config, DATASET) / "videos"
    (videos / listed[3]).write_bytes(b"not a video")
    frame_cache.build_cache(config, DATASET)
    (videos / listed[4]).unlink()
    source = frame_cache.source(config, DATASET, 24)
    with pytest.raises(Unreadable, match="not a video"):
        source(listed[3])
    with pytest.raises(Unreadable, match="missing file"):
        source(listed[4])
    assert len(source(listed[5])) == 12
    index = pd.concat([extract.extract(config, DATASET, "mini_clip").index(split) for split in SPLITS])
    lost = index[~index["readable"]].set_index("path")["reason"]
    assert set(lost.index) == {listed[3], listed[4]} and lost[listed[4]] == "missing file"


def test_what_is_missing_is_named(config: Config, tmp_path: Path) -> None:
    command = "python -m vidprism.videos.frame_cache ucf101 --profile smoke"
    with pytest.raises(ConfigError, match=rf"holds no frames, but protocol.frame_cache is on; run `{command}`"):
        extract.extract(config, DATASET, "mini_clip")
    with pytest.raises(ConfigError, match="holds no frames"):
        VideoInputs(config, DATASET, 8, "mini_clip")
    with pytest.raises(ConfigError, match="frames of 256 px, but the backbone takes 336 px"):
        frame_cache.source(config, DATASET, 336)
    with pytest.raises(DatasetError, match="run the prepare stage"):
        frame_cache.build_cache(small_config(tmp_path / "other", DATASET), DATASET)
    assert frame_cache.main(["ucf102", "--profile", "smoke"]) == 1


@pytest.mark.parametrize("damage", ["cut", "zeroed", "gone"])
def test_a_damaged_shard_is_no_unreadable_video(config: Config, damage: str) -> None:
    shard = frame_cache.build_cache(config, DATASET) / "00000.jpegs"
    path = manifest.load_manifest(config, DATASET)["path"].iloc[7]
    frames = frame_cache.source(config, DATASET, 24)(path)
    if damage == "gone":
        shard.unlink()
    else:
        size = shard.stat().st_size
        os.truncate(shard, size // 2)
        os.truncate(shard, size if damage == "zeroed" else size // 2)
    with pytest.raises(ConfigError, match=r"00000.jpegs' is damaged or missing at .*build the cache again"):
        load_views(frames, 8, 1, 1, 24)


def test_off_means_the_files_read_as_the_manifest_says(config: Config) -> None:
    df, videos = manifest.load_manifest(config, DATASET), paths.dataset_root(config, DATASET) / "videos"
    file = paths.manifest(config, DATASET) / "manifest.csv"
    assert set(df["reader"]) == {"start to end"}
    df.loc[0, "reader"] = "packets"
    df.to_csv(file, index=False)
    source = frame_cache.source(without_cache(config), DATASET, 336)
    assert source(df["path"][0]) == videos / df["path"][0]
    assert isinstance(source(df["path"][1]), StartToEnd) and len(source(df["path"][1])) == 12
    df.drop(columns="reader").to_csv(file, index=False)
    with pytest.raises(DatasetError, match="lacks the columns reader; run the prepare stage of ucf101 again"):
        frame_cache.source(without_cache(config), DATASET, 336)
