"""Manifests: every listed video is a row, the dev pool keeps groups whole, the checks find what is odd."""

import json
from pathlib import Path

import pytest

from tests import miniature
from tests.miniature import BUILDERS, small_config
from vidprism import datasets, manifest, paths
from vidprism.datasets import DatasetError, Video

LISTS = Path("annotations") / "ucfTrainTestlist"


def videos(groups: dict[str, list[int]]) -> list[Video]:
    """Class name -> sizes of its groups."""
    return [
        Video(f"{name}/g{g}c{i}", "", 0, name, "train", f"{name}/g{g}")
        for name, sizes in groups.items()
        for g, size in enumerate(sizes)
        for i in range(size)
    ]


@pytest.mark.parametrize("dataset", datasets.available())
def test_every_dataset_gets_a_manifest(tmp_path: Path, dataset: str) -> None:
    config = small_config(tmp_path, dataset)
    df = manifest.prepare(config, dataset)
    module, root = datasets.load(dataset), paths.dataset_root(config, dataset)
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
    assert set(before) == {"manifest.csv", "checks.json", "draws.json"}
    loaded = manifest.load(config, dataset)
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
    assert not manifest.load(config, "ucf101").set_index("video_id").loc[bad.index, "readable"].any()


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
    assert manifest.flip_pairs(datasets.load("hmdb51"), names) == pairs


def test_dev_pool_takes_whole_groups() -> None:
    listed = videos({"a": [3, 4, 5, 2], "b": [6, 7, 8]})
    for seed in range(20):
        held = manifest.hold_out(listed, 5, seed, grouped=True)
        for v in listed:
            same = {w.video_id in held for w in listed if w.group == v.group}
            assert len(same) == 1, "a group lies on both sides"
        sizes = {name: sum(v.video_id in held for v in listed if v.class_name == name) for name in "ab"}
        assert 0 < sizes["a"] <= 5 and sizes["b"] == 6, "at most 5, or the smallest group where none fits"
    assert len({frozenset(manifest.hold_out(listed, 5, seed, True)) for seed in range(20)}) > 1


def test_dev_pool_without_groups_is_exact() -> None:
    listed = videos({"a": [3, 4, 5, 2], "b": [6, 7, 8]})
    held = manifest.hold_out(listed, 5, 0, grouped=False)
    assert [sum(i.startswith(name) for i in held) for name in "ab"] == [5, 5]
    assert manifest.hold_out(listed, 0, 0, grouped=True) == set()


@pytest.mark.parametrize("sizes", [[4], [2, 2]])
def test_dev_pool_that_eats_a_class_is_an_error(sizes: list[int]) -> None:
    with pytest.raises(DatasetError, match=r"class 'a' has only 4 .* lower protocol.dev_per_class"):
        manifest.hold_out(videos({"a": sizes}), 4, 0, grouped=True)


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
        manifest.load(small_config(tmp_path, "ucf101"), "ucf101")


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
    monkeypatch.setattr(datasets.load("kinetics400"), "KNOWN_COPIES", known)
    manifest.prepare(config, "kinetics400")
    checks = json.loads((paths.manifest(config, "kinetics400") / "checks.json").read_text())
    assert checks["copy"] == "this one"
    assert checks["unreadable"]["test"] == 1 and checks["n_listed"] == 33
