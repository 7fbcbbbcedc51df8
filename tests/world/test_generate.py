"""The generated datasets on disk: the same bytes on every run, official formats, no instance shared by
training and test.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidprism import world
from vidprism.config import WorldConfig
from vidprism.world.encode import read_video
from vidprism.world.plan import clips_of, course, look
from vidprism.world.render import render

ROOT = Path(__file__).resolve().parents[2]


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_two_runs_give_equal_bytes(tiny_world: Path, tmp_path: Path) -> None:
    world.tiny(tmp_path)
    assert _hashes(tmp_path) == _hashes(tiny_world)


@pytest.mark.slow
def test_instructions_of_the_cpu_do_not_matter() -> None:
    """NumPy computes sines and powers in another way with AVX-512, and with AVX2."""
    special = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # of this CPU, beyond the least
    code = """
import hashlib
from dataclasses import astuple
from vidprism.config import WorldConfig
from vidprism.world import DATASETS
from vidprism.world.plan import clips_of, course, look
from vidprism.world.render import render
world, digest = WorldConfig(), hashlib.sha256()
for clip in (clip for dataset in DATASETS for clip in clips_of(dataset, world)[::30]):
    track, instance = course(clip, world), look(clip, world.seed)
    for values in (*astuple(track), instance.mask, instance.background, render(instance, track)):
        digest.update(values.tobytes())
print(digest.hexdigest())
"""
    found = set()
    for switched_off in ("", " ".join(special[1:]), " ".join(special)):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": switched_off}
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


def test_processes_do_not_matter(tiny_world: Path, tmp_path: Path) -> None:
    world.tiny(tmp_path, ("ucf101",), processes=2)
    assert _hashes(tmp_path / "ucf101") == _hashes(tiny_world / "ucf101")


def test_another_seed_gives_other_pixels(tiny_world: Path, tmp_path: Path) -> None:
    world.tiny(tmp_path, ("ucf101",), seed=5)
    one, other = _hashes(tmp_path / "ucf101" / "videos"), _hashes(tiny_world / "ucf101" / "videos")
    assert one.keys() == other.keys() and not set(one.values()) & set(other.values())


@pytest.mark.parametrize("dataset", world.DATASETS)
def test_videos_decode_to_what_was_rendered(tiny_world: Path, dataset: str) -> None:
    small = WorldConfig(**json.loads((tiny_world / dataset / "world.json").read_text())["config"])
    files = sorted(p for p in (tiny_world / dataset / "videos").rglob("*") if p.is_file())
    decoded = [read_video(f) for f in files]
    assert all(v.shape[1:] == (48, 64, 3) and 32 <= len(v) <= 34 for v in decoded)
    clip = next(c for c in clips_of(dataset, small) if c.split == "train")
    frames = render(look(clip, small.seed), course(clip, small)).astype(float)
    errors = [abs(v - frames).mean() if v.shape == frames.shape else np.inf for v in decoded]
    assert min(errors) < 12 and sum(e < 12 for e in errors) == 1, "exactly one file holds this clip"


def test_ucf101_lists(tiny_world: Path) -> None:
    lists = tiny_world / "ucf101" / "annotations" / "ucfTrainTestlist"
    index = dict(line.split(" ") for line in (lists / "classInd.txt").read_text().splitlines())
    assert list(index) == [str(i) for i in range(1, len(index) + 1)] and list(index.values()) == sorted(index.values())
    train = [line.split(" ") for line in (lists / "trainlist01.txt").read_text().splitlines()]
    test = (lists / "testlist01.txt").read_text().splitlines()
    pattern = re.compile(r"(\w+)/v_\1_g(\d\d)_c\d\d\.avi")
    for path, label in train:
        assert index[label] == pattern.fullmatch(path)[1] and int(pattern.fullmatch(path)[2]) > 60
    assert all(int(pattern.fullmatch(path)[2]) <= 60 for path in test)
    listed = {path for path, _ in train} | set(test)
    assert listed == {
        p.relative_to(tiny_world / "ucf101/videos").as_posix() for p in (tiny_world / "ucf101").rglob("*.avi")
    }


def test_hmdb51_lists(tiny_world: Path) -> None:
    lists = sorted((tiny_world / "hmdb51" / "annotations" / "testTrainMulti_7030_splits").iterdir())
    assert len(lists) == 6
    for path in lists:
        name = re.fullmatch(r"(\w+)_test_split[123]\.txt", path.name)[1]
        lines = path.read_text().splitlines()
        assert all(re.fullmatch(r"\S+\.avi [012] ", line) for line in lines)
        assert {line.split(" ")[0] for line in lines} == {
            p.name for p in (tiny_world / "hmdb51/videos" / name).iterdir()
        }
    first = {line.split(" ")[1] for line in lists[0].read_text().splitlines()}
    assert first == {"0", "1", "2"}


def test_hmdb51_names_hold_awkward_characters() -> None:
    from vidprism.world.layouts.hmdb51 import paths

    assert set("#;&[]!'()") <= set("".join(paths(clips_of("hmdb51", WorldConfig()), 0)))


def test_ssv2_files(tiny_world: Path) -> None:
    folder = tiny_world / "ssv2" / "annotations"
    train, validation, test, labels = (
        json.loads((folder / f"something-something-v2-{n}.json").read_text())
        for n in ("train", "validation", "test", "labels")
    )
    for entry in train + validation:
        plain = entry["template"].replace("[", "").replace("]", "")
        assert plain in labels and entry["label"] == plain.replace("something", entry["placeholders"][0]).lower()
    assert sorted(labels.values(), key=int) == [str(i) for i in range(len(labels))]
    assert all(set(entry) == {"id"} for entry in test)
    ids = [entry["id"] for entry in train + validation + test]
    assert len(set(ids)) == len(ids) and {f"{i}.webm" for i in ids} == {
        p.name for p in (tiny_world / "ssv2/videos").iterdir()
    }


def test_kinetics400_files(tiny_world: Path) -> None:
    folder = tiny_world / "kinetics400"
    for name, place in (("train", "train/{label}"), ("validate", "val/{label}"), ("test", "test")):
        with open(folder / "annotations" / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows and list(rows[0]) == ["label", "youtube_id", "time_start", "time_end", "split"]
        for row in rows:
            stem = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"
            assert len(row["youtube_id"]) == 11 and row["split"] == name and bool(row["label"]) == (name != "test")
            assert (folder / "videos" / place.format(**row) / stem).is_file()
    videos = [p.name for p in (folder / "videos").rglob("*.mp4")]
    assert any(name.startswith("-") for name in videos)


@pytest.mark.parametrize("dataset", world.DATASETS)
def test_no_instance_is_shared_by_training_and_test(dataset: str) -> None:
    small = WorldConfig(train_per_class=18, test_per_dataset=7 * len(world.DATASETS[dataset]), classes=4)
    seen: dict[str, set[bytes]] = {"mask": set(), "shade": set(), "background": set()}
    for clip in clips_of(dataset, small):
        instance = look(clip, small.seed)
        for part, known in seen.items():
            pixels = getattr(instance, part).tobytes()
            if clip.split == "train":
                known.add(pixels)
            else:
                assert pixels not in known, f"{part} of {clip} occurs in training"


def test_enough_videos() -> None:
    for dataset, classes in world.DATASETS.items():
        clips = clips_of(dataset, WorldConfig())
        assert len(classes) >= 10 and sum(c.split == "test" for c in clips) == 720
        # 48 for draws of 16 that differ, and a dev pool of 12 that whole groups may overshoot by a group of
        # four
        assert all(sum(c.split == "train" and c.action is a for c in clips) >= 48 + 12 + 3 for a in classes)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.avi").write_text("precious")
    with pytest.raises(FileExistsError, match="not generated"):
        world.generate("ucf101", tmp_path, WorldConfig())
    assert (tmp_path / "mine.avi").read_text() == "precious"
    with pytest.raises(KeyError, match="no dataset 'ucf11'"):
        world.generate("ucf11", tmp_path / "new", WorldConfig())


def test_the_recorded_fingerprint_is_the_worlds() -> None:
    recorded = re.search(r"`([0-9a-f]{64})`", (ROOT / "docs" / "world.md").read_text())[1]
    assert world.fingerprint(WorldConfig()) == recorded, (
        "the world changed: tune it again on controls, then record the new hash"
    )
    assert world.fingerprint(replace(WorldConfig(), processes=1)) == recorded
    assert world.fingerprint(replace(WorldConfig(), seed=1)) != recorded
