"""Manifests: every listed video is a row, and the checks find oddities."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_config import small_config
from tools import miniature
from tools.miniature import BUILDERS
from vidprism import datasets
from vidprism.config import Config, paths
from vidprism.datasets import DatasetError
from vidprism.report.overview import trust
from vidprism.training import inputs
from vidprism.videos import manifest

LISTS = Path("annotations") / "ucfTrainTestlist"


@pytest.mark.parametrize("dataset", datasets.available())
def test_every_dataset_gets_a_manifest(tmp_path: Path, dataset: str) -> None:
    config = small_config(tmp_path, dataset)
    df = manifest.prepare(config, dataset)
    module, root = datasets.load_dataset(dataset), paths.dataset_root(config, dataset)
    listed = module.list_videos(root, 1)
    assert list(df.columns) == list(manifest.COLUMNS)
    assert list(df["video_id"]) == [v.video_id for v in listed] and df["readable"].all()
    assert set(df["split"]) == {"train", "dev", "test"}
    assert (df["n_frames"] == 12).all() and (df["width"] == 64).all() and (df["height"] == 48).all()
    assert set(df.loc[df["split"] == "test", "video_id"]) == {v.video_id for v in listed if v.split == "test"}
    assert df[df["split"] == "dev"].groupby("class_name").size().between(1, 3).all()
    checks = json.loads((paths.manifest(config, dataset) / "checks.json").read_text())
    oddities = (
        "path_class_differs",
        "repeated_lines",
        "conflicting_labels",
        "train_test_overlap",
        "group_leakage",
    )
    assert all(checks[key] == [] for key in oddities)
    assert checks["readers"] == df["reader"].value_counts().to_dict() and df["why"].str.len().gt(0).all()
    assert set(checks["readers"]) == ({"start to end"} if listed[0].path.endswith(".avi") else {"packets"})
    draws = json.loads((paths.manifest(config, dataset) / "draws.json").read_text())
    train = set(df.loc[df["split"] == "train", "video_id"])
    assert all(set(v) <= train for drawn in draws["draws"].values() for v in drawn.values())


@pytest.mark.parametrize("dataset", datasets.available())
def test_prepare_is_deterministic_and_load_gives_it_back(tmp_path: Path, dataset: str) -> None:
    config = small_config(tmp_path, dataset)
    df = manifest.prepare(config, dataset)
    folder = paths.manifest(config, dataset)
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    manifest.prepare(config, dataset)
    assert before == {f.name: f.read_bytes() for f in folder.iterdir()}
    assert set(before) == {"manifest.csv", "checks.json", "draws.json", "opposites.json"}
    loaded = manifest.load_manifest(config, dataset)
    assert loaded.equals(df.astype(loaded.dtypes.to_dict()))
    assert loaded["video_id"].map(type).eq(str).all() and loaded["reason"].eq("").all()


def test_bad_videos_are_rows_with_reasons(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    folder = paths.dataset_root(config, "ucf101") / "videos" / "YoYo"
    (folder / "v_YoYo_g01_c01.avi").unlink()
    (folder / "v_YoYo_g01_c02.avi").write_bytes(b"")
    (folder / "v_YoYo_g02_c01.avi").write_text("<html>")
    cut = folder / "v_YoYo_g02_c02.avi"
    cut.write_bytes(cut.read_bytes()[:2500])
    df = manifest.prepare(config, "ucf101")
    bad = df[~df["readable"]].set_index("video_id")["reason"]
    assert len(df) == 36 and list(bad.index) == [f"YoYo/v_YoYo_g0{g}_c0{c}" for g in (1, 2) for c in (1, 2)]
    assert bad.iloc[0] == "missing file" and bad.iloc[1].startswith("empty file")
    assert "not a video" in bad.iloc[2] and bad.iloc[3]
    assert str(tmp_path) not in "".join(bad)
    checks = json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())
    assert checks["unreadable"] == {"dev": 0, "test": 4, "train": 0} and checks["videos"]["test"] == 12
    assert not manifest.load_manifest(config, "ucf101").set_index("video_id").loc[bad.index, "readable"].any()


def test_odd_lists_are_counted_and_repaired_once(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    root = paths.dataset_root(config, "ucf101")
    test, train = root / LISTS / "testlist01.txt", root / LISTS / "trainlist01.txt"
    test.write_text(test.read_text().splitlines()[0] + "\n" + test.read_text())
    miniature.write_lines(
        train,
        [
            *train.read_text().splitlines(),
            "YoYo/v_YoYo_g03_c01.avi 1",  # again, with another label
            "YoYo/v_YoYo_g01_c01.avi 3",  # a test video
            "ApplyEyeMakeup/v_ApplyEyeMakeup_g02_c09.avi 2",  # wrong label, and a group of the test list
        ],
    )
    df = manifest.prepare(config, "ucf101")
    checks = json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())
    assert df["video_id"].is_unique and len(df) == 37
    assert checks["repeated_lines"] == ["ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01", "YoYo/v_YoYo_g03_c01"]
    assert checks["conflicting_labels"] == ["YoYo/v_YoYo_g03_c01"]
    assert checks["train_test_overlap"] == ["YoYo/v_YoYo_g01_c01"]
    assert df.set_index("video_id").loc["YoYo/v_YoYo_g01_c01", "split"] == "test"
    assert checks["path_class_differs"] == ["ApplyEyeMakeup/v_ApplyEyeMakeup_g02_c09.avi"]
    assert checks["group_leakage"] == ["ApplyEyeMakeup/g02"]


def test_flip_sensitive_classes_are_found(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ssv2")
    manifest.prepare(config, "ssv2")
    checks = json.loads((paths.manifest(config, "ssv2") / "checks.json").read_text())
    assert checks["flip_sensitive"] == [
        ["Pushing something from left to right", "Pushing something from right to left"]
    ]
    assert checks["horizontal_flip"] is False


@pytest.mark.parametrize(
    "names, pairs",
    [
        (["star_move_left", "star_move_right", "run"], [("star_move_left", "star_move_right")]),
        (["left", "leftover", "rightover"], []),
        (
            ["turn left then right", "turn right then left"],
            [("turn left then right", "turn right then left")],
        ),
    ],
)
def test_flip_pairs_by_name(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert manifest.flip_pairs(datasets.load_dataset("hmdb51"), names) == pairs


def test_failure_leaves_earlier_results_untouched(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    manifest.prepare(config, "ucf101")
    folder = paths.manifest(config, "ucf101")
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    with pytest.raises(DatasetError, match="50 shots"):
        manifest.prepare(small_config(tmp_path, "ucf101", shots=(50,), dev_per_class=3), "ucf101")
    assert before == {f.name: f.read_bytes() for f in folder.iterdir()}


def test_unprepared_dataset_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run the prepare stage of ucf101"):
        manifest.load_manifest(small_config(tmp_path, "ucf101"), "ucf101")


def test_builders_cover_the_datasets() -> None:
    assert sorted(BUILDERS) == datasets.available()


def test_files_that_no_list_names_are_counted(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    root = paths.dataset_root(config, "ucf101")
    lists = root / LISTS
    moved = (lists / "testlist01.txt").read_text().splitlines()
    # a video that only the lists of another split name is not left over
    miniature.write_lines(lists / "testlist01.txt", moved[1:])
    for name in ("YoYo/v_YoYo_g99_c01.avi", "new/x.avi", "new/.hidden.avi", "Thumbs.db"):
        (root / "videos" / name).parent.mkdir(exist_ok=True)
        (root / "videos" / name).touch()
    manifest.prepare(config, "ucf101")
    checks = json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())
    assert checks["unlisted_files"] == {"count": 2, "first": ["YoYo/v_YoYo_g99_c01.avi", "new/x.avi"]}
    assert checks["n_listed"] == 35 and checks["copy"] is None


def test_a_known_copy_is_named_by_its_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(tmp_path, "kinetics400")
    root = paths.dataset_root(config, "kinetics400")
    next((root / "videos" / "val").rglob("*.mp4")).unlink()
    known = {"another": (27, 6), "this one": (27, 5), "by its test videos": (None, 5)}
    monkeypatch.setattr(datasets.load_dataset("kinetics400"), "KNOWN_COPIES", known)
    manifest.prepare(config, "kinetics400")
    checks = json.loads((paths.manifest(config, "kinetics400") / "checks.json").read_text())
    assert checks["copy"] == "this one"
    assert checks["unreadable"]["test"] == 1 and checks["n_listed"] == 33


def test_classes_that_share_groups_with_the_dev_pool_are_named(tmp_path: Path) -> None:
    """Two lists that between them name a video of every training group of one class."""
    config = small_config(tmp_path, "ucf101")
    for k, groups in {1: [3], 3: [4, 5, 6]}.items():
        lines = [f"v_YoYo_g0{g}_c01.avi 2" for g in groups]
        for label, name in enumerate(("ApplyEyeMakeup", "HandstandPushups")):
            lines += [f"v_{name}_{take}.avi {label}" for take in ("g03_c01", "g03_c02", "g04_c01")[:k]]
        miniature.write_lines(paths.listed(config, f"{k}.txt"), lines)
    protocol = replace(config.profile.protocol, shots=(1, 3), shot_lists={"ucf101": {"1": "1.txt", "3": "3.txt"}})
    config = replace(config, profile=replace(config.profile, protocol=protocol))
    df = manifest.prepare(config, "ucf101")
    checks = json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())
    assert checks["dev_shares_groups"] == ["YoYo"]
    dev = df[df["split"] == "dev"]
    assert (dev.groupby("class_name").size() == 2).all()
    assert all(i.endswith("_c02") for i in dev.loc[dev["class_name"] == "YoYo", "video_id"]), "the lists name take 1"


def test_without_such_a_class_nothing_is_added(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    manifest.prepare(config, "ucf101")
    assert "dev_shares_groups" not in json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())


def test_each_dataset_has_its_split_and_other_splits_may_be_absent(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101", splits={"ucf101": 2})
    lists = paths.dataset_root(config, "ucf101") / LISTS
    for name in ("trainlist01.txt", "testlist01.txt", "trainlist03.txt"):
        (lists / name).unlink()
    assert len(manifest.prepare(config, "ucf101")) == 36
    checks = json.loads((paths.manifest(config, "ucf101") / "checks.json").read_text())
    assert checks["official_split"] == 2 and checks["unlisted_files"]["count"] == 0
    with pytest.raises(DatasetError, match=r"trainlist01.txt' does not exist"):
        manifest.prepare(small_config(tmp_path, "ucf101"), "ucf101")


def test_a_damaged_list_of_another_split_is_not_passed_over(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    miniature.write_lines(paths.dataset_root(config, "ucf101") / LISTS / "trainlist03.txt", ["YoYo/v_YoYo_g03_c01.avi"])
    with pytest.raises(DatasetError, match=r"trainlist03.txt', line 1"):
        manifest.prepare(config, "ucf101")


def test_labels_that_differ_from_the_folders_are_said_aloud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = small_config(tmp_path, "ucf101")
    train = paths.dataset_root(config, "ucf101") / LISTS / "trainlist01.txt"
    manifest.prepare(config, "ucf101")
    assert "warning" not in capfd.readouterr().err
    train.write_text(train.read_text().replace("YoYo/v_YoYo_g03_c01.avi 3", "YoYo/v_YoYo_g03_c01.avi 1"))
    manifest.prepare(config, "ucf101")
    assert "warning: ucf101: 1 listed videos lie in the folder of another class" in capfd.readouterr().err


def test_videos_one_folder_too_deep_are_one_error(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    folder = paths.dataset_root(config, "ucf101") / "videos"
    folder.rename(folder.with_name("UCF-101"))
    folder.mkdir()
    with pytest.raises(DatasetError, match=r"none of 36 .*videos/ApplyEyeMakeup/v_.*; there is no file below"):
        manifest.prepare(config, "ucf101")
    folder.with_name("UCF-101").rename(folder / "UCF-101")
    with pytest.raises(DatasetError, match=r"for example '.*videos/ApplyEyeMakeup/v_.*'; there is '.*/UCF-101/.*avi'"):
        manifest.prepare(config, "ucf101")
    assert not paths.manifest(config, "ucf101").exists()


def test_a_name_that_no_file_system_takes_is_a_row(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    test = paths.dataset_root(config, "ucf101") / LISTS / "testlist01.txt"
    long = f"ApplyEyeMakeup/v_{'x' * 300}_g01_c01.avi"
    test.write_text(f"{long}\n{test.read_text()}")
    df = manifest.prepare(config, "ucf101").set_index("path")
    assert len(df) == 37 and df["readable"].sum() == 36 and "File name too long" in df.loc[long, "reason"]


def test_test_videos_that_cannot_be_read_at_all_are_one_error(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    root = paths.dataset_root(config, "ucf101")
    for video in datasets.load_dataset("ucf101").list_videos(root, 1):
        if video.split == "test":
            (root / "videos" / video.path).unlink()
    with pytest.raises(DatasetError, match="ucf101: none of 12 test videos can be read, most often: missing file"):
        manifest.prepare(config, "ucf101")


def test_the_damaged_original_of_a_replaced_clip_is_not_left_over(tmp_path: Path) -> None:
    config = small_config(tmp_path, "kinetics400")
    clip = "-v0_0000000_000000_000010.mp4"
    miniature.write_video(paths.dataset_root(config, "kinetics400") / "videos" / "replacement" / clip)
    manifest.prepare(config, "kinetics400")
    checks = json.loads((paths.manifest(config, "kinetics400") / "checks.json").read_text())
    assert checks["unlisted_files"] == {"count": 0, "first": []}


def listed_checks(config: Config, dataset: str) -> dict:
    return json.loads((paths.manifest(config, dataset) / "checks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["spelling", "symbolic", "hard"])
def test_a_training_video_that_is_a_test_video_is_tested_on_and_not_trained_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """Under another spelling of its path, or through a link that makes another name of its file."""
    config = small_config(tmp_path, "custom")
    root = paths.dataset_root(config, "custom")
    test = next(v for v in datasets.load_dataset("custom").list_videos(root, 1) if v.split == "test")
    other = f"./{Path(test.path).parent}//{Path(test.path).name}"
    if kind != "spelling":
        other = "leaked.mp4"
        link = os.symlink if kind == "symbolic" else os.link
        link(root / "videos" / test.path, root / "videos" / other)
    heading, *lines = (root / "annotations" / "videos.csv").read_text().splitlines()
    leak = f"{other},{test.class_name},train,"
    miniature.write_lines(root / "annotations" / "videos.csv", [heading, leak, *lines])
    df = manifest.prepare(config, "custom").set_index("video_id")
    assert len(df) == 36 and df.loc[test.video_id, "split"] == "test" and "leaked" not in df.index
    checks = listed_checks(config, "custom")
    assert checks["train_test_overlap"] == [test.video_id if kind == "spelling" else "leaked"]
    assert checks["same_file"] == ([] if kind == "spelling" else [[test.video_id, "leaked"]])
    assert "warning: custom: 1 videos are listed for both training and test" in capfd.readouterr().err
    odd = inputs.oddities(config, "custom")
    assert odd.pop("readers") == {"packets": 36}
    assert odd == {"train_test_overlap": 1, **({} if kind == "spelling" else {"same_file": 1})}
    assert set(odd) <= set(trust.ODDITIES), "what travels with the results has words on the index"


def test_two_training_videos_of_one_file_are_one_and_two_test_videos_stay(tmp_path: Path) -> None:
    config = small_config(tmp_path, "custom")
    root = paths.dataset_root(config, "custom")
    one = {v.split: v for v in datasets.load_dataset("custom").list_videos(root, 1)}
    lines = (root / "annotations" / "videos.csv").read_text().splitlines()
    for split, v in one.items():
        (root / "videos" / f"twin {split}.mp4").symlink_to(root / "videos" / v.path)
        label = "open_door" if split == "train" else v.class_name
        lines.append(f'twin {split}.mp4,"{label.replace(chr(34), 2 * chr(34))}",{split},')
    for name in ("hole 1.mp4", "hole 2.mp4"):  # several names of one empty file are several broken videos
        (root / "videos" / name).symlink_to("/dev/null")
        lines.append(f"{name},open_door,train,")
    miniature.write_lines(root / "annotations" / "videos.csv", lines)
    df = manifest.prepare(config, "custom").set_index("video_id")
    assert "twin train" not in df.index and df.loc["twin test", "split"] == "test" and len(df) == 39
    assert not df.loc[["hole 1", "hole 2"], "readable"].any()
    checks = listed_checks(config, "custom")
    assert checks["same_file"] == sorted([v.video_id, f"twin {split}"] for split, v in one.items())
    assert checks["conflicting_labels"] == [one["train"].video_id] and checks["train_test_overlap"] == []


def test_files_with_other_suffixes_are_counted(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    root = paths.dataset_root(config, "ucf101") / "videos"
    for name in ("YoYo/x.MOV", "YoYo/y.mov", "notes.txt", "README", "._x.txt", ".hidden"):
        (root / name).touch()
    manifest.prepare(config, "ucf101")
    checks = listed_checks(config, "ucf101")
    assert checks["other_suffixes"] == {".mov": 2, ".txt": 1, "none": 1}
    assert checks["unlisted_files"] == {"count": 0, "first": []}


def test_a_missing_video_is_told_of_a_file_whose_name_looks_the_same(tmp_path: Path) -> None:
    config = small_config(tmp_path, "ucf101")
    folder = paths.dataset_root(config, "ucf101") / "videos"
    (folder / "YoYo" / "v_YoYo_g01_c01.avi").rename(folder / "YoYo" / "v_YoYo_g01_c01 .avi")
    (folder / "YoYo" / "v_YoYo_g01_c02.avi").unlink()
    reasons = manifest.prepare(config, "ucf101").set_index("video_id")["reason"]
    assert reasons["YoYo/v_YoYo_g01_c01"] == (
        "missing file; 'v_YoYo_g01_c01 .avi' is there, which differs in blanks (none against blank)"
    )
    assert reasons["YoYo/v_YoYo_g01_c02"] == "missing file"
    (folder / "HandstandPushups").rename(folder / "HandStandPushups")
    with pytest.raises(DatasetError, match="missing file; 'HandStandPushups' is there, which differs in case; repair"):
        manifest.prepare(config, "ucf101")


def test_a_class_folder_that_is_only_spelled_in_another_way_is_no_other_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    config = small_config(tmp_path, "custom")
    root = paths.dataset_root(config, "custom")
    lines = ["path,label,split"]
    for i in range(6):
        path = f"{'train' if i < 5 else 'test'}/{decomposed}/{i}.mp4"
        miniature.write_video(root / "videos" / path)
        lines.append(f"{path},{composed},{'train' if i < 5 else 'test'}")
    miniature.write_lines(root / "annotations" / "videos.csv", lines)
    assert manifest.prepare(config, "custom")["readable"].all()
    assert listed_checks(config, "custom")["path_class_differs"] == []


def test_a_copy_whose_names_are_all_decomposed_is_one_error_that_says_so(tmp_path: Path) -> None:
    config = small_config(tmp_path, "custom")
    root = paths.dataset_root(config, "custom")
    miniature.write_lines(root / "annotations" / "videos.csv", ["path,label,split", "caf\u00e9.mp4,a,train"])
    miniature.write_video(root / "videos" / "cafe\u0301.mp4")
    with pytest.raises(DatasetError, match=r"none of 1 listed videos .* differs in Unicode form \(NFC against NFD\)"):
        datasets.check_placed(root, "Your dataset", datasets.load_dataset("custom").list_videos(root, 1))
