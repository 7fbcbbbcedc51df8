"""The official formats with their quirks, each on a copy written by hand."""

import json
from pathlib import Path

import pytest

from tools import miniature
from vidprism.datasets import DatasetError, custom, hmdb51, kinetics400, load_dataset, ssv2, ucf101


def test_ucf101_numbers_from_one_and_test_list_without_labels(tmp_path: Path) -> None:
    miniature.ucf101(tmp_path)
    assert ucf101.class_names(tmp_path) == ["ApplyEyeMakeup", "HandstandPushups", "YoYo"]
    videos = ucf101.list_videos(tmp_path, 1)
    assert len(videos) == 36 and sum(v.split == "test" for v in videos) == 12
    one = next(v for v in videos if v.path.startswith("Handstand") and v.split == "test")
    assert (one.label, one.class_name, one.group) == (1, "HandstandPushups", "HandstandPushups/g01")
    assert "v_HandStandPushups" in one.path and (tmp_path / "videos" / one.path).is_file()


def test_ucf101_reads_three_splits(tmp_path: Path) -> None:
    miniature.ucf101(tmp_path)
    lists = tmp_path / "annotations" / "ucfTrainTestlist"
    miniature.write_lines(lists / "testlist03.txt", ["YoYo/v_YoYo_g09_c01.avi"])
    assert [v.path for v in ucf101.list_videos(tmp_path, 3) if v.split == "test"] == ["YoYo/v_YoYo_g09_c01.avi"]
    assert len(ucf101.list_videos(tmp_path, 2)) == 36


@pytest.mark.parametrize(
    "file, line, message",
    [
        ("trainlist01.txt", "YoYo/v_YoYo_g09_c01.avi", "must have lines such as"),
        ("trainlist01.txt", "YoYo/v_YoYo_g09_c01.avi 9", "classInd.txt does not have"),
        ("testlist01.txt", "Yoyo/v_YoYo_g09_c01.avi", "classInd.txt does not have"),
        ("testlist01.txt", "YoYo/v_YoYo_g09_c01.avi 3", "testlist01.txt', line 13: test lists must have .*avi', not "),
        ("classInd.txt", "5 Zumba", "must be 1 to 4"),
        ("classInd.txt", "Zumba", "1 ApplyEyeMakeup"),
    ],
)
def test_ucf101_wrong_lines_are_quoted(tmp_path: Path, file: str, line: str, message: str) -> None:
    miniature.ucf101(tmp_path)
    path = tmp_path / "annotations" / "ucfTrainTestlist" / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DatasetError, match=message):
        ucf101.list_videos(tmp_path, 1)


def test_hmdb51_classes_sort_by_name_and_not_by_file(tmp_path: Path) -> None:
    miniature.hmdb51(tmp_path)
    lists = tmp_path / "annotations" / "testTrainMulti_7030_splits"
    by_file = [f.name.removesuffix("_test_split1.txt") for f in sorted(lists.glob("*_split1.txt"))]
    assert by_file == ["kick_ball", "kick", "sword"], "the trap: '_ball' sorts before '_test'"
    assert hmdb51.class_names(tmp_path) == ["kick", "kick_ball", "sword"]
    for v in hmdb51.list_videos(tmp_path, 1):
        assert hmdb51.class_names(tmp_path)[v.label] == v.class_name == hmdb51.path_class(v.path)


def test_hmdb51_codes_blanks_and_awkward_names(tmp_path: Path) -> None:
    miniature.hmdb51(tmp_path)
    videos = hmdb51.list_videos(tmp_path, 1)
    kicks = [v for v in videos if v.class_name == "kick"]
    assert sum(v.split == "train" for v in kicks) == 14 and sum(v.split == "test" for v in kicks) == 3
    assert all((tmp_path / "videos" / v.path).is_file() for v in videos)
    assert {v.group for v in kicks} == {f"kick/{film}" for film in miniature.HMDB_FILMS}
    assert "kick/Don't;Stop!_kick_f_cm_np1_ba_bad_0.avi" not in {v.path for v in kicks}, "code 0 is unused"


def test_hmdb51_other_code_is_an_error(tmp_path: Path) -> None:
    miniature.hmdb51(tmp_path)
    path = tmp_path / "annotations" / "testTrainMulti_7030_splits" / "kick_test_split1.txt"
    path.write_text(path.read_text() + "a_kick_f_cm_np1_ba_bad_0.avi 3 \n")
    with pytest.raises(DatasetError, match=r"<0, 1 or 2>.*bad_0.avi 3"):
        hmdb51.list_videos(tmp_path, 1)


def test_ssv2_brackets_ids_and_test_list(tmp_path: Path) -> None:
    miniature.ssv2(tmp_path)
    names = ssv2.class_names(tmp_path)
    assert names[2] == "Putting something on something" and names[0].endswith("left to right")
    videos = ssv2.list_videos(tmp_path, 1)
    assert len(videos) == 33 and "999" not in {v.video_id for v in videos}
    last = videos[-1]
    assert (last.split, last.label, last.path) == ("test", 2, "33.webm")


def test_ssv2_unknown_template_and_broken_json(tmp_path: Path) -> None:
    miniature.ssv2(tmp_path)
    path = tmp_path / "annotations" / "something-something-v2-train.json"
    path.write_text(json.dumps([{"id": "5", "label": "", "template": "Eating [something]", "placeholders": []}]))
    with pytest.raises(DatasetError, match="video 5 has the template 'Eating something'"):
        ssv2.list_videos(tmp_path, 1)
    path.write_text("[{")
    with pytest.raises(DatasetError, match="not valid json"):
        ssv2.list_videos(tmp_path, 1)


def test_ssv2_flip_pairs_are_real_templates() -> None:
    for left, right in ssv2.FLIP_PAIRS:
        swapped = left.replace("left", "?").replace("right", "left").replace("?", "right")
        assert swapped == right and not ssv2.HORIZONTAL_FLIP


@pytest.mark.parametrize("layout", [{}, {"blank": " "}, {"is_cc": True}, {"flat": True}])
def test_kinetics400_layouts(tmp_path: Path, layout: dict) -> None:
    miniature.kinetics400(tmp_path, **layout)
    assert kinetics400.class_names(tmp_path) == ["air drumming", "massaging person's head", "playing drums"]
    videos = kinetics400.list_videos(tmp_path, 1)
    assert len(videos) == 33 and sum(v.split == "test" for v in videos) == 6
    assert all((tmp_path / "videos" / v.path).is_file() for v in videos)
    assert videos[0].label == 2 and videos[0].video_id == "-t0_0000000_000000_000010"
    told = {kinetics400.path_class(v.path) for v in videos}
    assert told == ({None} if layout.get("flat") else set(kinetics400.class_names(tmp_path)))


def test_kinetics400_reads_the_cvdf_name_of_the_list(tmp_path: Path) -> None:
    miniature.kinetics400(tmp_path)
    folder = tmp_path / "annotations"
    (folder / "validate.csv").rename(folder / "val.csv")
    assert len(kinetics400.list_videos(tmp_path, 1)) == 33


def test_kinetics400_reads_a_replacement_in_place_of_the_damaged_clip(tmp_path: Path) -> None:
    miniature.kinetics400(tmp_path)
    clip = "-v0_0000000_000000_000010"
    path = tmp_path / "videos" / "replacement" / "replacement_for_corrupted_k400" / f"{clip}.mp4"
    miniature.write_video(path)
    videos = {v.video_id: v for v in kinetics400.list_videos(tmp_path, 1)}
    assert len(videos) == 33 and tmp_path / "videos" / videos[clip].path == path
    assert kinetics400.path_class(videos[clip].path) is None
    assert sum(v.path.startswith("replacement") for v in videos.values()) == 1


def test_kinetics400_row_without_a_file_stays_listed(tmp_path: Path) -> None:
    miniature.kinetics400(tmp_path)
    gone = kinetics400.list_videos(tmp_path, 1)[4]
    (tmp_path / "videos" / gone.path).unlink()
    assert gone in kinetics400.list_videos(tmp_path, 1)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret.avi", "YoYo/../../../secret.avi"])
def test_a_path_that_leaves_the_dataset_is_refused(tmp_path: Path, path: str) -> None:
    miniature.ucf101(tmp_path)
    lists = tmp_path / "annotations" / "ucfTrainTestlist"
    miniature.write_lines(lists / "trainlist01.txt", [f"{path} 3"])
    with pytest.raises(DatasetError, match=r"trainlist01.txt', line 1: .* leaves its folder 'videos'"):
        ucf101.list_videos(tmp_path, 1)


def test_custom_csv(tmp_path: Path) -> None:
    miniature.custom(tmp_path)
    assert custom.class_names(tmp_path) == ["close_door", "open_door", 'say "hi", wave']
    videos = custom.list_videos(tmp_path, 1)
    assert len(videos) == 36 and sum(v.split == "test" for v in videos) == 9
    assert (videos[0].video_id, videos[0].label, videos[0].group) == ("day 0/open-0", 1, "day 0 0 open")


def test_custom_folders(tmp_path: Path) -> None:
    for part, name in (("train", "b"), ("train", "a"), ("test", "a")):
        miniature.write_video(tmp_path / "videos" / part / name / "x.mp4")
    miniature.write_lines(tmp_path / "videos" / "train" / "a" / "notes.txt", ["no video"])
    assert [(v.path, v.label, v.split, v.group) for v in custom.list_videos(tmp_path, 1)] == [
        ("train/a/x.mp4", 0, "train", None),
        ("train/b/x.mp4", 1, "train", None),
        ("test/a/x.mp4", 0, "test", None),
    ]
    assert custom.path_class("train/a/x.mp4") == "a"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("path,label,split", "file,label,split", "lacks the column path"),
        (",train,", ",dev,", "videos.csv', line 3: a split must be train or test, not 'dev'"),
        (",open_door,", ",,", "videos.csv', line 2: no label;"),
        (",open_door,train", ",close_door,train", "'open_door' has test videos and no training video"),
    ],
)
def test_custom_wrong_csv(tmp_path: Path, old: str, new: str, message: str) -> None:
    miniature.custom(tmp_path)
    path = tmp_path / "annotations" / "videos.csv"
    path.write_text(path.read_text().replace('"open_door"', "open_door").replace(old, new))
    with pytest.raises(DatasetError, match=message):
        custom.list_videos(tmp_path, 1)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("label,youtube_id", "class,youtube_id", "lacks the column label"),
        ("-v0_0000000,0,", "-v0_0000000,soon,", "whole seconds, not 'soon'"),
        ("playing drums", "playing drum", "train.csv does not have"),
    ],
)
def test_kinetics400_wrong_csv(tmp_path: Path, old: str, new: str, message: str) -> None:
    miniature.kinetics400(tmp_path)
    path = tmp_path / "annotations" / "validate.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=message):
        kinetics400.list_videos(tmp_path, 1)


@pytest.mark.parametrize(
    "dataset, class_name, text",
    [
        ("ucf101", "ApplyEyeMakeup", "apply eye makeup"),
        ("ucf101", "YoYo", "yo yo"),
        ("hmdb51", "kick_ball", "kick ball"),
        ("ssv2", "Pushing something from left to right", "pushing something from left to right"),
        ("custom", "Open_Door ", "open door"),
        ("kinetics400", "massaging person's head", "massaging person's head"),
    ],
)
def test_class_texts(dataset: str, class_name: str, text: str) -> None:
    assert load_dataset(dataset).class_text(class_name) == text


@pytest.mark.parametrize("stray", ["@eaDir", ".ipynb_checkpoints", "thumbs"])
def test_kinetics400_stray_folder_in_a_flat_copy(tmp_path: Path, stray: str) -> None:
    miniature.kinetics400(tmp_path, flat=True)
    for part in ("train", "val"):
        (tmp_path / "videos" / part / stray).mkdir()
    assert all((tmp_path / "videos" / v.path).is_file() for v in kinetics400.list_videos(tmp_path, 1))


def test_kinetics400_class_in_both_spellings(tmp_path: Path) -> None:
    miniature.kinetics400(tmp_path)
    folder = tmp_path / "videos" / "train"
    (folder / "air drumming").mkdir()
    for file in sorted((folder / "air_drumming").iterdir())[:4]:
        file.rename(folder / "air drumming" / file.name)
    videos = kinetics400.list_videos(tmp_path, 1)
    assert all((tmp_path / "videos" / v.path).is_file() for v in videos)
    assert sum(v.path.startswith("train/air drumming/") for v in videos) == 4


@pytest.mark.parametrize(
    "line, message",
    [
        ("playing drums,abcdefghijk,10", r"train\.csv', line 29: no time_end; the line is cut off"),
        (",abcdefghijk,10,20,train", r"train\.csv', line 29: no label;"),
        ("playing drums,../../abcdefghijk,10,20,train", r"train\.csv', line 29: the path .* leaves its folder"),
        ("playing drums,abcdefghijk,soon,20,train", r"train\.csv', line 29: time_start .* not 'soon'"),
    ],
)
def test_kinetics400_wrong_rows_are_located(tmp_path: Path, line: str, message: str) -> None:
    miniature.kinetics400(tmp_path)
    path = tmp_path / "annotations" / "train.csv"
    path.write_text(path.read_text() + line)
    with pytest.raises(DatasetError, match=message):
        kinetics400.list_videos(tmp_path, 1)


ENTRY = {"id": "5", "template": "Pushing [something] from left to right"}


@pytest.mark.parametrize(
    "which, content, message",
    [
        ("train", [ENTRY, {"template": ENTRY["template"]}], r"train\.json', entry 2: .* 'id' and a 'template'"),
        ("train", [{"id": "5"}], r"train\.json', entry 1: .*\{\"id\": \"5\"\}"),
        ("train", ["5"], r"train\.json', entry 1: "),
        ("validation", {"5": ENTRY}, r"validation\.json' must hold a list, not a dict"),
        ("train", [{**ENTRY, "id": "../5"}], r"train\.json', entry 1: the path '../5.webm' leaves"),
        ("labels", [ENTRY], r"labels\.json' must hold a dict, not a list"),
        ("labels", {"a": "0", "b": "one"}, r"labels\.json', entry 2: the id of 'b' must be a number, not 'one'"),
        ("labels", {"a": None}, r"labels\.json', entry 1: the id of 'a'"),
    ],
)
def test_ssv2_entries_of_another_form_are_located(tmp_path: Path, which: str, content: object, message: str) -> None:
    miniature.ssv2(tmp_path)
    (tmp_path / "annotations" / f"something-something-v2-{which}.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        ssv2.list_videos(tmp_path, 1)


@pytest.mark.parametrize(
    "dataset, file",
    [
        ("ucf101", "ucfTrainTestlist/testlist01.txt"),
        ("ucf101", "ucfTrainTestlist/classInd.txt"),
        ("hmdb51", "testTrainMulti_7030_splits/kick_test_split1.txt"),
        ("ssv2", "something-something-v2-train.json"),
        ("kinetics400", "validate.csv"),
        ("custom", "videos.csv"),
    ],
)
def test_a_list_that_is_not_utf8_is_named(tmp_path: Path, dataset: str, file: str) -> None:
    miniature.BUILDERS[dataset](tmp_path)
    path = tmp_path / "annotations" / file
    path.write_bytes(path.read_bytes() + b"\xe9\n")
    with pytest.raises(DatasetError, match=f"{path.name}' is not UTF-8"):
        load_dataset(dataset).list_videos(tmp_path, 1)


def test_custom_same_name_with_two_suffixes_is_two_videos(tmp_path: Path) -> None:
    lines = ["path,label,split", "a/x.mp4,a,train", "a/x.avi,a,train", "a/y.mp4,a,test", "a/y.mp4,a,test"]
    miniature.write_lines(tmp_path / "annotations" / "videos.csv", lines)
    (tmp_path / "videos").mkdir()
    assert [v.video_id for v in custom.list_videos(tmp_path, 1)] == ["a/x.mp4", "a/x.avi", "a/y", "a/y"]


def test_custom_ignores_dot_files(tmp_path: Path) -> None:
    for name in ("train/a/x.mp4", "train/a/._x.mp4", "train/.trash/x.mp4", "test/a/y.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).touch()
    assert [v.path for v in custom.list_videos(tmp_path, 1)] == ["train/a/x.mp4", "test/a/y.mp4"]


def test_custom_without_videos_says_what_to_do(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "videos" / part / "a").mkdir(parents=True)
    for call in (custom.class_names, lambda root: custom.list_videos(root, 1)):
        with pytest.raises(DatasetError, match=r"no video in the class folders .* put them into <class>/<file>"):
            call(tmp_path)
    miniature.write_lines(tmp_path / "annotations" / "videos.csv", ["path,label,split"])
    with pytest.raises(DatasetError, match=r"videos.csv' lists no video; write one a line: path,label,split"):
        custom.list_videos(tmp_path, 1)
    miniature.write_lines(tmp_path / "annotations" / "videos.csv", ["path,label,split", "../x.mp4,a,train"])
    with pytest.raises(DatasetError, match=r"videos.csv', line 2: the path '../x.mp4' leaves"):
        custom.list_videos(tmp_path, 1)
