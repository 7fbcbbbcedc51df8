"""External lists of K shots: read, recognised, used for training, and refused with a reason."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests import synthetic_store
from tests.small_config import small_config
from tools.miniature import write_lines
from vidprism import datasets
from vidprism.config import Config, paths
from vidprism.config.rows import row
from vidprism.datasets import DatasetError, Video
from vidprism.records.record import cell_key
from vidprism.runs.train import train_here
from vidprism.training.inputs import FrozenInputs, training_sets
from vidprism.videos import draws, manifest, shot_lists

pytestmark = pytest.mark.slow

TWO = [
    "v_ApplyEyeMakeup_g03_c01.avi 0",
    "v_ApplyEyeMakeup_g04_c02.avi 0",
    "v_HandstandPushups_g03_c01.avi 1",  # the files themselves are called HandStandPushups
    "v_HandstandPushups_g05_c01.mp4 1",  # a re-encoded copy
    "v_YoYo_g03_c01.avi 2",
    "YoYo/v_YoYo_g04_c01.avi 2",
]


def with_list(tmp_path: Path, lines: list[str], k: int = 2, **protocol: object) -> Config:
    """The miniature UCF-101 with a list of `k` shots."""
    config = small_config(tmp_path, "ucf101")
    write_lines(paths.listed(config, "two.txt"), lines)
    chosen = {"shot_lists": {"ucf101": {str(k): "two.txt"}}, **protocol}
    changed = dataclasses.replace(config.profile.protocol, **chosen)
    return dataclasses.replace(config, profile=dataclasses.replace(config.profile, protocol=changed))


def test_a_list_is_part_of_the_draws_and_out_of_the_dev_pool(tmp_path: Path) -> None:
    config = with_list(tmp_path, TWO)
    plain = manifest.prepare(small_config(tmp_path, "ucf101"), "ucf101").set_index("video_id")["split"]
    df = manifest.prepare(config, "ucf101").set_index("video_id")
    drawn = json.loads((paths.manifest(config, "ucf101") / "draws.json").read_text())
    given = drawn["lists"]["2"]
    assert given["videos"] == [
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g03_c01",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g04_c02",
        "HandstandPushups/v_HandStandPushups_g03_c01",
        "HandstandPushups/v_HandStandPushups_g05_c01",
        "YoYo/v_YoYo_g03_c01",
        "YoYo/v_YoYo_g04_c01",
    ]
    assert given["sha256"] == hashlib.sha256("".join(f"{line}\n" for line in TWO).encode()).hexdigest()
    assert given["name"] == "" and given["file"] == "two.txt"
    assert (df.loc[given["videos"], "split"] == "train").all() and (df["split"] == "dev").any()
    assert (plain[given["videos"]] == "dev").any(), "without the list some of its videos are dev videos"


def test_known_lists_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_list(tmp_path, TWO)
    digest = hashlib.sha256(paths.listed(config, "two.txt").read_bytes()).hexdigest()
    monkeypatch.setitem(shot_lists.KNOWN, digest[:12], "a published list")
    manifest.prepare(config, "ucf101")
    drawn = json.loads((paths.manifest(config, "ucf101") / "draws.json").read_text())
    assert drawn["lists"]["2"]["name"] == "a published list"
    assert len(shot_lists.KNOWN) == 13 and {len(key) for key in shot_lists.KNOWN} == {12}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({5: "v_YoYo_g01_c01.avi 2"}, "1 of 6 videos are in the test list.*leakage.*protocol.split"),
        ({5: "v_YoYo_g03_c01.avi 2"}, "'YoYo/v_YoYo_g03_c01' is listed more than once"),
        ({5: "v_YoYo_g99_c01.avi 2"}, "line 6: the official lists have no video named 'v_YoYo_g99_c01.avi'"),
        ({5: "v_YoYo_g04_c01.avi 1"}, "line 6.*label 1 here and 2, YoYo"),
        ({5: "v_YoYo_g04_c01.avi"}, "line 6.*is not `file label`"),
        ({5: "v_YoYo_g04_c01.avi two"}, "line 6.*is not `file label`"),
        ({5: ""}, "class 'YoYo' has 1 videos in a list of 2 shots"),
        ({5: "v_YoYo_g04_c01.avi 2\nv_YoYo_g05_c01.avi 2"}, "class 'YoYo' has 3 videos in a list of 2 shots"),
    ],
)
def test_a_bad_list_is_refused_with_the_reason(tmp_path: Path, change: dict[int, str], words: str) -> None:
    config = with_list(tmp_path, [change.get(i, line) for i, line in enumerate(TWO)])
    with pytest.raises(DatasetError, match=rf"two\.txt.*{words}"):
        manifest.prepare(config, "ucf101")
    assert not paths.manifest(config, "ucf101").exists()


def test_a_missing_list_is_one_error(tmp_path: Path) -> None:
    config = with_list(tmp_path, TWO)
    paths.listed(config, "two.txt").unlink()
    with pytest.raises(DatasetError, match=r"protocol.shot_lists names 'two.txt'.*does not exist"):
        manifest.prepare(config, "ucf101")


def test_two_videos_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    videos = datasets.load_dataset("ucf101").list_videos(
        paths.dataset_root(small_config(tmp_path, "ucf101"), "ucf101"), 1
    )
    twin = dataclasses.replace(videos[-1], video_id="Other/x", path=f"Other/{Path(videos[-1].path).name}")
    write_lines(tmp_path / "list.txt", [f"{Path(videos[-1].path).name} {videos[-1].label}"])
    with pytest.raises(DatasetError, match="several videos named"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, [*videos, twin])


def test_a_dev_pool_needs_videos_beside_the_lists(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    videos = datasets.load_dataset("ucf101").list_videos(paths.dataset_root(config, "ucf101"), 1)
    train = [v for v in videos if v.split == "train"]
    with pytest.raises(DatasetError, match=r"'ApplyEyeMakeup' has no training video for the dev pool"):
        draws.hold_out(train, 2, 0, True, {v.video_id for v in train})


def test_every_repeat_trains_on_the_list(tmp_path: Path) -> None:
    config = synthetic_store.small_config(tmp_path)
    synthetic_store.write_store(config)
    path = paths.manifest(config, "ucf101") / "draws.json"
    drawn = json.loads(path.read_text())
    names = [f"train/{c}_{c * synthetic_store.TRAIN + i:03d}" for c in range(synthetic_store.CLASSES) for i in (1, 5)]
    about = {"file": "two.txt", "name": "a published list", "sha256": "ab" * 32}
    path.write_text(json.dumps({**drawn, "lists": {"2": {**about, "videos": names}}}))
    inputs = FrozenInputs(config, "ucf101", 8, "mini_clip")
    chosen = training_sets(config, "ucf101", inputs, 2, (0, 1))
    listed = inputs.index("train")["video_id"].to_numpy()
    assert [set(listed[one.positions]) for one in chosen] == [set(names)] * 2
    assert [(one.draw, one.sha256) for one in chosen] == [(None, "ab" * 32)] * 2
    other = training_sets(config, "ucf101", inputs, 4, (0, 1))
    assert [one.draw for one in other] == [0, 1] and not np.array_equal(other[0].positions, other[1].positions)
    few = row(config, "few_shot", "mean_pool")
    synthetic_store.write_choice(config, "mean_pool", 0.01)
    (cell,) = train_here(config, few)["cells"]
    assert cell_key(cell["dataset"], cell["shots"]) == "ucf101_k2" and cell["shot_list"] == about
    assert [repeat["draw"] for repeat in cell["repeats"]] == [None, None]


def test_a_path_tells_two_videos_of_one_name_apart(tmp_path: Path) -> None:
    names = {"a/x.avi": 0, "b/x.avi": 1, "c/y.avi": 2}
    videos = [Video(path[:-4], path, label, f"class {label}", "train") for path, label in names.items()]
    write_lines(tmp_path / "list.txt", ["a/x.avi 0", "b/x.mp4 1", "Y.mp4 2"])  # exact, re-encoded, in a flat folder
    assert shot_lists.read_shot_list(tmp_path / "list.txt", 1, videos) == ["a/x", "b/x", "c/y"]
    write_lines(tmp_path / "list.txt", ["x.avi 0"])
    with pytest.raises(DatasetError, match=r"line 1: the official lists have several videos named 'x.avi'"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, videos)


def test_case_is_looked_at_before_it_is_ignored(tmp_path: Path) -> None:
    videos = [Video(f"{part}/{name}", f"{part}/{name}.avi", 0, "x", "train") for part, name in (("a", "x"), ("b", "X"))]
    write_lines(tmp_path / "list.txt", ["flat/X.avi 0"])
    assert shot_lists.read_shot_list(tmp_path / "list.txt", 1, videos) == ["b/X"]


def test_a_list_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    config = with_list(tmp_path, TWO)
    paths.listed(config, "two.txt").write_bytes(b"caf\xe9.avi 0\n")
    with pytest.raises(DatasetError, match=r"two\.txt' is not UTF-8 text \(byte 3\)"):
        manifest.prepare(config, "ucf101")


def video(video_id: str, split: str, label: int = 0) -> Video:
    return Video(video_id, f"{video_id}.avi", label, f"class {label}", split)


def test_a_list_that_is_used_on_another_split_is_told_so(tmp_path: Path) -> None:
    """Of UCF-101 every video is in every split, in HMDB-51 some are unused: a test video, or none of that name."""
    first = [video("a", "train"), video("b", "test"), video("c", "train", 1), video("d", "test", 1)]
    second = [video("a", "test"), video("b", "train"), video("c", "test", 1), video("d", "train", 1)]
    third = [video("b", "train"), video("d", "test", 1)]
    write_lines(tmp_path / "list.txt", ["a.avi 0", "c.avi 1"])
    said = r"All its videos are training videos of split 1: .*protocol\.splits"
    assert shot_lists.read_shot_list(tmp_path / "list.txt", 1, first, {2: second, 3: third}) == ["a", "c"]
    with pytest.raises(DatasetError, match=rf"2 of 2 videos are in the test list .*leakage.*{said}"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, second, {1: first, 3: third})
    with pytest.raises(DatasetError, match=rf"line 1: the official lists have no video named 'a\.avi'\. {said}"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, third, {1: first, 2: second})
    with pytest.raises(DatasetError, match=r"no video named 'a\.avi'$"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, third, {2: second})
    with pytest.raises(DatasetError, match=r"of split 1 and of split 4: "):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, third, {1: first, 2: second, 4: first})


def test_prepare_knows_the_other_splits(tmp_path: Path) -> None:
    config = with_list(tmp_path, TWO)
    lists = paths.dataset_root(config, "ucf101") / "annotations" / "ucfTrainTestlist"
    train, test = lists / "trainlist01.txt", lists / "testlist01.txt"
    moved = "YoYo/v_YoYo_g03_c01.avi"
    train.write_text(train.read_text().replace(f"{moved} 3\n", ""))
    test.write_text(test.read_text() + f"{moved}\n")
    with pytest.raises(
        DatasetError, match=r"1 of 6 videos are in the test list .* of split 2 and of split 3: the list"
    ):
        manifest.prepare(config, "ucf101")


def test_a_name_that_looks_the_same_is_told(tmp_path: Path) -> None:
    write_lines(tmp_path / "list.txt", ["cafe\u0301.avi 0"])
    with pytest.raises(DatasetError, match=r"; 'caf\u00e9\.avi' is there, .* Unicode form \(NFD against NFC\)"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, [video("caf\u00e9", "train")])


def test_spellings_of_a_path_and_tabs_are_read(tmp_path: Path) -> None:
    videos = [video("x/a", "train"), video("y/a", "train", 1)]
    write_lines(tmp_path / "list.txt", ["./x//a.avi\t0", "y/./a.avi   1"])
    assert shot_lists.read_shot_list(tmp_path / "list.txt", 1, videos) == ["x/a", "y/a"]
    write_lines(tmp_path / "list.txt", ["x/a.avi\tzero"])
    with pytest.raises(DatasetError, match=r"line 1: 'x/a\.avi\\tzero' is not `file label`"):
        shot_lists.read_shot_list(tmp_path / "list.txt", 1, videos)


def test_a_listed_video_that_is_a_link_to_a_test_video_is_refused(tmp_path: Path) -> None:
    config = with_list(tmp_path, TWO)
    folder = paths.dataset_root(config, "ucf101") / "videos" / "YoYo"
    (folder / "v_YoYo_g03_c01.avi").unlink()
    (folder / "v_YoYo_g03_c01.avi").symlink_to("v_YoYo_g01_c01.avi")
    with pytest.raises(DatasetError, match=r"two\.txt: YoYo/v_YoYo_g03_c01 is no training video .* same_file"):
        manifest.prepare(config, "ucf101")
