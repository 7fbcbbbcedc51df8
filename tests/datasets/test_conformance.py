"""The requirements on dataset modules, tested for each one in vidprism/datasets."""

import shutil
from pathlib import Path

import pytest

from tools.miniature import BUILDERS
from vidprism import datasets

NAMES = datasets.available()


@pytest.fixture(scope="module", params=NAMES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """(module, root of a miniature copy)."""
    assert request.param in BUILDERS, f"add a builder of '{request.param}' to tools/miniature.py"
    root = tmp_path_factory.mktemp(request.param)
    BUILDERS[request.param](root)
    return datasets.load_dataset(request.param), root


def test_declares_what_the_suite_reads(built: tuple) -> None:
    module, _ = built
    assert isinstance(module.NAME, str) and isinstance(module.GROUPED, bool)
    assert isinstance(module.HORIZONTAL_FLIP, bool) and 1 in module.SPLITS
    assert all(len(pair) == 2 for pair in module.FLIP_PAIRS)


def test_labels_index_the_class_names(built: tuple) -> None:
    module, root = built
    names = module.class_names(root)
    assert len(names) == len(set(names)) == 3
    for split in module.SPLITS:
        videos = module.list_videos(root, split)
        assert {v.split for v in videos} == {"train", "test"}
        assert all(names[v.label] == v.class_name for v in videos)
        assert {v.label for v in videos if v.split == "test"} == {0, 1, 2}


def test_paths_exist_and_tell_the_class(built: tuple) -> None:
    module, root = built
    for v in module.list_videos(root, 1):
        assert (root / "videos" / v.path).is_file()
        assert module.path_class(v.path) in (None, v.class_name)
        assert not module.GROUPED or v.group


def test_texts_are_lower_case_words_and_differ(built: tuple) -> None:
    module, root = built
    texts = [module.class_text(name) for name in module.class_names(root)]
    assert len(set(texts)) == len(texts) and all(t == t.lower().strip() and "_" not in t for t in texts)


def test_unknown_split_names_the_official_ones(built: tuple) -> None:
    module, root = built
    with pytest.raises(datasets.DatasetError, match="no split 7"):
        module.list_videos(root, 7)


@pytest.mark.parametrize("part", ["annotations", "videos", ""])
def test_missing_folder_says_which_and_what_to_do(built: tuple, tmp_path: Path, part: str) -> None:
    module, root = built
    copy = shutil.copytree(root, tmp_path / "copy")
    shutil.rmtree(copy / part)
    with pytest.raises(datasets.DatasetError) as caught:
        module.list_videos(copy, 1)
    assert module.NAME in str(caught.value) and str(copy / part) in str(caught.value)
    assert "does not exist; put" in str(caught.value) and "data/README.md" in str(caught.value)


def test_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(datasets.DatasetError, match="did you mean 'kinetics400'"):
        datasets.load_dataset("kinetics40")


def test_classes_that_cannot_be_told_apart_are_an_error_that_names_both(
    built: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, root = built
    first, second = module.class_names(root)[:2]
    monkeypatch.setattr(module, "class_text", lambda name: "one text")
    for call in (module.class_names, lambda root: module.list_videos(root, 1)):
        with pytest.raises(datasets.DatasetError) as caught:
            call(root)
        message = str(caught.value)
        assert module.NAME in message and repr(first) in message and repr(second) in message and "'one text'" in message


def test_dot_files_of_another_system_are_ignored_among_lists_and_videos(built: tuple, tmp_path: Path) -> None:
    """macOS puts a file ._x of other content beside every file x of a disk that is not its own."""
    module, root = built
    copy = shutil.copytree(root, tmp_path / "copy")
    for file in [f for f in copy.rglob("*") if f.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07")
    assert module.class_names(copy) == module.class_names(root)
    for split in module.SPLITS:
        assert module.list_videos(copy, split) == module.list_videos(root, split)
