"""Few-shot draws: nested, exact, independent of row order, and clear about too few videos."""

import hashlib

import pandas as pd
import pytest

from vidprism import draws
from vidprism.datasets import DatasetError


def frame(per_class: int = 12, unreadable: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = [
        {"video_id": f"{name}{split}{i}", "class_name": name, "split": split}
        for name in ("walk", "run")
        for split, n in (("train", per_class), ("dev", 3), ("test", 5))
        for i in range(n)
    ]
    df = pd.DataFrame(rows)
    return df.assign(readable=~df["video_id"].isin(unreadable))


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
