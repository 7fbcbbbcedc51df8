"""Lists as people write them: spellings of a path, blanks around values, names that look the same."""

import json
import re
from pathlib import Path

import pytest

from tools import miniature
from vidprism import datasets
from vidprism.datasets import DatasetError, custom, kinetics400, load_dataset, ssv2

HEADING = "path,label,split"


def csv_of(root: Path, *lines: str, heading: str = HEADING) -> Path:
    """A csv list of a custom dataset without videos."""
    miniature.write_lines(root / "annotations" / "videos.csv", [heading, *lines])
    (root / "videos").mkdir(exist_ok=True)
    return root


def respelled(root: Path, file: str, old: str, new: str) -> None:
    """Replace the first `old` in a list."""
    path = root / "annotations" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("spelling", ["./{}", "././{}", ".//{}"])
@pytest.mark.parametrize(
    ("dataset", "file", "path"),
    [
        ("ucf101", "ucfTrainTestlist/trainlist01.txt", "YoYo/v_YoYo_g03_c01.avi"),
        ("ucf101", "ucfTrainTestlist/testlist01.txt", "YoYo/v_YoYo_g01_c01.avi"),
        ("hmdb51", "testTrainMulti_7030_splits/kick_test_split1.txt", "#1_Fan_(part_2)_kick_f_cm_np1_ba_bad_0.avi"),
        ("custom", "videos.csv", "day 0/open-0.mp4"),
    ],
)
def test_two_spellings_of_a_path_are_one_video(
    tmp_path: Path, dataset: str, file: str, path: str, spelling: str
) -> None:
    miniature.BUILDERS[dataset](tmp_path)
    right = load_dataset(dataset).list_videos(tmp_path, 1)
    respelled(tmp_path, file, path, spelling.format(path.replace("/", "//")))
    assert load_dataset(dataset).list_videos(tmp_path, 1) == right


def test_custom_test_video_under_another_spelling_has_the_id_of_the_training_video(tmp_path: Path) -> None:
    csv_of(tmp_path, "a/x.mp4,a,train", "./a//x.mp4,a,test")
    assert [(v.video_id, v.path, v.split) for v in custom.list_videos(tmp_path, 1)] == [
        ("a/x", "a/x.mp4", "train"),
        ("a/x", "a/x.mp4", "test"),
    ]


@pytest.mark.parametrize("path", [".", "./", "././/."])
def test_a_path_that_is_the_folder_itself_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DatasetError, match=r"videos.csv', line 2: the path '.*' names no file"):
        custom.list_videos(csv_of(tmp_path, f"{path},a,train"), 1)


def test_values_and_names_of_columns_are_trimmed(tmp_path: Path) -> None:
    csv_of(
        tmp_path, " a/x.mp4 , open door\t, train , g1 ", "", "b.mp4,open door,test,", heading="path, label ,split,group"
    )
    videos = custom.list_videos(tmp_path, 1)
    assert [(v.path, v.class_name, v.split, v.group) for v in videos] == [
        ("a/x.mp4", "open door", "train", "g1"),
        ("b.mp4", "open door", "test", None),
    ]
    assert custom.class_names(tmp_path) == ["open door"]


def test_labels_of_kinetics_and_templates_of_ssv2_are_trimmed(tmp_path: Path) -> None:
    for dataset, file, old, new in (
        ("kinetics400", "train.csv", '"playing drums"', '" playing drums "'),
        ("ssv2", "something-something-v2-train.json", "[something] on [something]", "[something] on [something] "),
        ("ssv2", "something-something-v2-labels.json", "Putting something", " Putting something"),
    ):
        root = tmp_path / f"{dataset}-{file}"
        miniature.BUILDERS[dataset](root)
        right = load_dataset(dataset).class_names(root), load_dataset(dataset).list_videos(root, 1)
        respelled(root, file, old, new)
        assert (load_dataset(dataset).class_names(root), load_dataset(dataset).list_videos(root, 1)) == right


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ("Open", "open", "differ only in case"),
        ("open door", "open  door", "differ only in blanks (blank, blank against blank)"),
        ("open door", "open\tdoor", "differ only in blanks (tab against blank)"),
        ("open door", "open\xa0door", "differ only in blanks (blank against no-break space)"),
        ("caf\u00e9", "cafe\u0301", "differ only in Unicode form (NFD against NFC)"),
        ("open", "open\u200b", "differ only in invisible characters (none against U+200B)"),
        ("open_door", "open door", "have the same text ('open door') in prompts"),
        ("open door", "Open_door", "have the same text ('open door') in prompts"),
    ],
)
def test_labels_that_look_the_same_are_an_error_that_names_both(
    tmp_path: Path, first: str, second: str, how: str
) -> None:
    csv_of(tmp_path, f"x.mp4,{first},train", f"y.mp4,{second},train", "z.mp4,other,test")
    for call in (custom.class_names, lambda root: custom.list_videos(root, 1)):
        with pytest.raises(DatasetError, match=re.escape(how)) as caught:
            call(tmp_path)
        assert repr(first) in str(caught.value) and repr(second) in str(caught.value)


def test_a_label_without_words_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"of the classes, '_' has no text \(''\) in prompts"):
        custom.class_names(csv_of(tmp_path, "x.mp4,_,train"))


@pytest.mark.parametrize(
    ("dataset", "file", "old", "new", "words"),
    [
        (
            "ucf101",
            "ucfTrainTestlist/classInd.txt",
            "3 YoYo",
            "3 YoYo\n4 yoyo",
            "'YoYo' and 'yoyo' differ only in case",
        ),
        ("ucf101", "ucfTrainTestlist/classInd.txt", "3 YoYo", "3 YoYo\n4 YoYo", "'YoYo' and 'YoYo' are the same"),
        ("ucf101", "ucfTrainTestlist/classInd.txt", "3 YoYo", "3 YoYo\n3 Zumba\n4 Surf", "must be 1 to 5, each once"),
        (
            "ucf101",
            "ucfTrainTestlist/classInd.txt",
            "3 YoYo",
            "3 Yo_Yo\n4 YoYo",
            "'Yo_Yo' and 'YoYo' have the same text",
        ),
        ("ucf101", "ucfTrainTestlist/testlist01.txt", "YoYo/v", "Yoyo/v", "'YoYo' is there, which differs in case"),
        ("kinetics400", "train.csv", '"air drumming"', '"Air drumming"', "'Air drumming' and 'air drumming' differ"),
        (
            "kinetics400",
            "train.csv",
            '"air drumming"',
            '"air_drumming"',
            "'air drumming' and 'air_drumming' have the same",
        ),
        ("kinetics400", "validate.csv", '"air drum', '"air  drum', "'air drumming' is there, which differs in blanks"),
        (
            "ssv2",
            "something-something-v2-labels.json",
            '"0",',
            '"0", "putting something on something": "3",',
            "in case",
        ),
        ("ssv2", "something-something-v2-labels.json", '"0",', '"0", "Putting something on something": "3",', "twice"),
        (
            "ssv2",
            "something-something-v2-train.json",
            "Putting [",
            "putting [",
            "'Putting something on something' is there",
        ),
    ],
)
def test_official_lists_with_names_that_look_the_same(
    tmp_path: Path, dataset: str, file: str, old: str, new: str, words: str
) -> None:
    miniature.BUILDERS[dataset](tmp_path)
    respelled(tmp_path, file, old, new)
    with pytest.raises(DatasetError, match=re.escape(words)):
        load_dataset(dataset).list_videos(tmp_path, 1)


def test_hmdb51_classes_that_look_the_same(tmp_path: Path) -> None:
    miniature.hmdb51(tmp_path)
    lists = tmp_path / "annotations" / "testTrainMulti_7030_splits"
    (lists / "Kick_test_split1.txt").write_text("x.avi 1 \n")
    with pytest.raises(DatasetError, match="the classes 'Kick' and 'kick' differ only in case"):
        load_dataset("hmdb51").list_videos(tmp_path, 1)


def test_tabs_between_the_words_of_a_line_are_blanks(tmp_path: Path) -> None:
    for dataset, file in (
        ("ucf101", "ucfTrainTestlist/trainlist01.txt"),
        ("hmdb51", "testTrainMulti_7030_splits/sword_test_split1.txt"),
    ):
        root = tmp_path / dataset
        miniature.BUILDERS[dataset](root)
        right = load_dataset(dataset).list_videos(root, 1)
        path = root / "annotations" / file
        path.write_text(re.sub(r" (\d) ?$", r"\t\1", path.read_text(), flags=re.MULTILINE))
        assert "\t" in path.read_text() and load_dataset(dataset).list_videos(root, 1) == right


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Path,label,split", "lacks the column path; .* it has 'Path', 'label', 'split'; 'Path' is there, .* in case"),
        ("path;label;split", "lacks the column path, label, split; .* it has 'path;label;split'"),
        ("path,label,split,label", "has the column 'label' twice"),
    ],
)
def test_the_columns_that_were_found_are_named(tmp_path: Path, heading: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        custom.list_videos(csv_of(tmp_path, "x.mp4,a,train", heading=heading), 1)


def test_an_empty_list_is_called_so(tmp_path: Path) -> None:
    csv_of(tmp_path)
    (tmp_path / "annotations" / "videos.csv").write_text("\n")
    with pytest.raises(DatasetError, match=r"lacks the column path, label, split; .* it is empty"):
        custom.list_videos(tmp_path, 1)


def test_a_label_with_a_comma_wants_quotes(tmp_path: Path) -> None:
    csv_of(tmp_path, "x.mp4,a,train,g", "y.mp4,wave,train,g, bye", heading=f"{HEADING},group")
    with pytest.raises(
        DatasetError, match=r"videos.csv', line 3: 5 values for 4 columns; put a value .* double quotes"
    ):
        custom.list_videos(tmp_path, 1)


def test_a_split_in_capitals_is_told_its_right_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not 'Train'; 'train' is there, which differs in case"):
        custom.list_videos(csv_of(tmp_path, "x.mp4,a,Train"), 1)


def in_folders(root: Path, *files: str) -> Path:
    for name in files:
        (root / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "videos" / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        (["train/jump/x.mts", "train/jump/y.mts", "train/jump/z.txt"], "holds no video but 2 .mts, 1 .txt"),
        (["train/jump/day 1/x.mp4"], "holds no video but 1 folder"),
        (["test/jump/x"], "holds no video but 1 file without suffix"),
    ],
)
def test_a_class_folder_without_videos_is_named(tmp_path: Path, files: list[str], holds: str) -> None:
    in_folders(tmp_path, "train/run/x.mp4", "test/run/y.mp4", *files)
    folder = tmp_path / "videos" / files[0][: files[0].index("jump") + 4]
    with pytest.raises(
        DatasetError, match=re.escape(f"the class folder '{folder}' {holds}, so the class would be lost")
    ):
        custom.list_videos(tmp_path, 1)


def test_other_files_beside_videos_and_empty_folders_are_no_error(tmp_path: Path) -> None:
    in_folders(tmp_path, "train/run/x.mp4", "train/run/x.srt", "test/run/y.MP4", "train/run/clip.mp4/thumb.jpg")
    (tmp_path / "videos" / "train" / "empty").mkdir()
    in_folders(tmp_path, "train/walk/._x.txt", "train/ run /z.mp4")
    found = [(v.path, v.class_name) for v in custom.list_videos(tmp_path, 1)]
    assert found == [("train/ run /z.mp4", "run"), ("train/run/x.mp4", "run"), ("test/run/y.MP4", "run")]


def newer_names(root: Path) -> Path:
    """Something-Something V2 with the file names of newer packages."""
    miniature.ssv2(root)
    for which in ("labels", "train", "validation", "test"):
        path = root / "annotations" / f"something-something-v2-{which}.json"
        path.rename(path.with_name(f"{which}.json"))
    return root


def test_ssv2_newer_file_names(tmp_path: Path) -> None:
    miniature.ssv2(tmp_path / "older")
    root = newer_names(tmp_path / "newer")
    assert ssv2.class_names(root) == ssv2.class_names(tmp_path / "older")
    assert ssv2.list_videos(root, 1) == ssv2.list_videos(tmp_path / "older", 1)
    (root / "annotations" / "train.json").write_text(json.dumps([{"id": "1"}]))
    with pytest.raises(DatasetError, match=r"annotations/train\.json', entry 1"):
        ssv2.list_videos(root, 1)
    (root / "annotations" / "train.json").unlink()
    with pytest.raises(
        DatasetError, match=r"something-something-v2-train\.json' does not exist; .* \(or train\.json\)"
    ):
        ssv2.list_videos(root, 1)


@pytest.mark.parametrize("which", ["labels", "train", "validation"])
def test_ssv2_both_names_of_a_list_are_an_error(tmp_path: Path, which: str) -> None:
    path = newer_names(tmp_path) / "annotations" / f"{which}.json"
    path.with_name(f"something-something-v2-{which}.json").write_bytes(path.read_bytes())
    with pytest.raises(
        DatasetError, match=rf"both something-something-v2-{which}\.json and {which}\.json, two names of"
    ):
        ssv2.list_videos(tmp_path, 1)


def test_kinetics400_both_names_of_the_validation_list_are_an_error(tmp_path: Path) -> None:
    miniature.kinetics400(tmp_path)
    path = tmp_path / "annotations" / "val.csv"
    path.write_bytes((tmp_path / "annotations" / "validate.csv").read_bytes())
    with pytest.raises(DatasetError, match=r"holds both validate\.csv and val\.csv, two names of one list"):
        kinetics400.list_videos(tmp_path, 1)


def test_what_lies_there_under_a_name_that_looks_the_same_is_told(tmp_path: Path) -> None:
    for name in ("cafe\u0301/x.mp4", "run/y .mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    asked = ["caf\u00e9/x.mp4", "run/y.mp4", "run/z.mp4", "walk/x.mp4"]
    assert list(datasets.beside(tmp_path, asked).values()) == [
        "; 'cafe\u0301' is there, which differs in Unicode form (NFC against NFD)",
        "; 'y .mp4' is there, which differs in blanks (none against blank)",
        "",
        "",
    ]
