"""The dev pool keeps groups whole. Few-shot draws: nested, exact, independent of row order, clear where videos lack."""

import hashlib

import pandas as pd
import pytest

from vidprism.datasets import DatasetError, Video
from vidprism.videos import draws


def frame(per_class: int = 12, unreadable: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = [
        {"video_id": f"{name}{split}{i}", "class_name": name, "split": split}
        for name in ("walk", "run")
        for split, n in (("train", per_class), ("dev", 3), ("test", 5))
        for i in range(n)
    ]
    df = pd.DataFrame(rows)
    lost = df["video_id"].isin(unreadable)
    return df.assign(readable=~lost, reason=lost.map({True: "empty file", False: ""}))


def test_draws_are_nested_exact_and_from_training() -> None:
    found = draws.nested(frame(), (2, 4, 8), (0, 1, 2))
    assert found["shots"] == [2, 4, 8] and set(found["draws"]) == {"0", "1", "2"}
    for drawn in found["draws"].values():
        assert set(drawn) == {"walk", "run"}
        for name, videos in drawn.items():
            assert len(videos) == len(set(videos)) == 8
            assert all(video_id.startswith(f"{name}train") for video_id in videos)


def test_order_is_that_of_the_documented_hash() -> None:
    drawn = draws.nested(frame(), (2, 4), (7,))["draws"]["7"]["run"]
    ids = [f"runtrain{i}" for i in range(12)]
    assert drawn == sorted(ids, key=lambda v: hashlib.sha256(f"7/{v}".encode()).digest())[:4]


def test_seeds_differ_and_row_order_does_not_matter() -> None:
    df = frame()
    found = draws.nested(df, (2, 4), (0, 1))
    assert found["draws"]["0"] != found["draws"]["1"]
    assert found == draws.nested(df.sample(frac=1, random_state=3), (2, 4), (0, 1))


def test_hash_names_the_drawn_videos() -> None:
    found = draws.nested(frame(), (2, 4), (0,))
    lines = [f"{name}\t{v}\n" for name, videos in found["draws"]["0"].items() for v in videos[:2]]
    assert found["sha256"]["0"]["2"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert found["sha256"]["0"]["2"] != found["sha256"]["0"]["4"]


def test_unreadable_video_is_left_out_counted_and_changes_nothing_else() -> None:
    whole = draws.nested(frame(), (8,), (0,))["draws"]["0"]
    lost = whole["run"][3]
    found = draws.nested(frame(unreadable=(lost,)), (8,), (0,))
    assert found["excluded_unreadable"] == {"run": 1}
    assert found["draws"]["0"]["run"][:7] == [v for v in whole["run"] if v != lost]
    assert found["draws"]["0"]["walk"] == whole["walk"]


@pytest.mark.parametrize("per_class, available", [(12, 12), (0, 0)])
def test_more_shots_than_videos_names_the_class(per_class: int, available: int) -> None:
    with pytest.raises(DatasetError, match=rf"class 'walk' has {available} readable .* 16 shots; lower protocol.shots"):
        draws.nested(frame(per_class), (2, 16), (0,))


def videos(groups: dict[str, list[int]]) -> list[Video]:
    """Class name -> sizes of its groups."""
    return [
        Video(f"{name}/g{g}c{i}", "", 0, name, "train", f"{name}/g{g}")
        for name, sizes in groups.items()
        for g, size in enumerate(sizes)
        for i in range(size)
    ]


def test_dev_pool_takes_whole_groups() -> None:
    listed = videos({"a": [3, 4, 5, 2], "b": [6, 7, 8]})
    for seed in range(20):
        held = draws.hold_out(listed, 5, seed, grouped=True)
        for v in listed:
            same = {w.video_id in held for w in listed if w.group == v.group}
            assert len(same) == 1, "a group lies on both sides"
        sizes = {name: sum(v.video_id in held for v in listed if v.class_name == name) for name in "ab"}
        assert 0 < sizes["a"] <= 5 and sizes["b"] == 6, "at most 5, or the smallest group where none fits"
    assert len({frozenset(draws.hold_out(listed, 5, seed, True)) for seed in range(20)}) > 1


def test_dev_pool_without_groups_is_exact() -> None:
    listed = videos({"a": [3, 4, 5, 2], "b": [6, 7, 8]})
    held = draws.hold_out(listed, 5, 0, grouped=False)
    assert [sum(i.startswith(name) for i in held) for name in "ab"] == [5, 5]
    assert draws.hold_out(listed, 0, 0, grouped=True) == set()


@pytest.mark.parametrize("sizes", [[4], [2, 2]])
def test_dev_pool_that_eats_a_class_is_an_error(sizes: list[int]) -> None:
    with pytest.raises(DatasetError, match=r"class 'a' has only 4 .* lower protocol.dev_per_class"):
        draws.hold_out(videos({"a": sizes}), 4, 0, grouped=True)


def test_a_class_whose_groups_are_all_reserved_shares_the_least_reserved_one() -> None:
    listed = videos({"a": [3, 4, 5], "b": [3, 3, 3]})
    reserved = {"a/g0c0", "a/g0c1", "a/g1c0", "a/g2c0", "a/g2c1", "b/g0c0"}
    for seed in range(10):
        held = draws.hold_out(listed, 3, seed, True, reserved)
        assert {i for i in held if i[0] == "a"} == {"a/g1c1", "a/g1c2", "a/g1c3"} and not held & reserved
        assert {i[:4] for i in held if i[0] == "b"} in ({"b/g1"}, {"b/g2"}), "a free group is held out whole"
    most = draws.hold_out(listed, 5, 0, True, reserved)
    assert sum(i[0] == "a" for i in most) == 5 and not most & reserved


def test_too_few_videos_says_that_they_cannot_be_read_and_why() -> None:
    df = frame(unreadable=tuple(f"runtrain{i}" for i in range(9)))
    df.loc[df["video_id"] == "runtrain0", "reason"] = "a rare one"
    with pytest.raises(DatasetError, match=r"'run' has 3 readable .* 9 others cannot be read, most often: empty file"):
        draws.nested(df, (4,), (0,))
