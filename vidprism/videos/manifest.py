"""From the official lists to a manifest: one row per listed video with its facts, or the reason why it cannot be
read.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import pandas as pd

from vidprism import datasets
from vidprism.config import CheckConfig, Config, paths
from vidprism.datasets import DatasetError, MissingError, Video
from vidprism.datasets._names import skeleton
from vidprism.videos import draws, duplicates, shot_lists
from vidprism.videos.check import Facts, check_videos
from vidprism.videos.opposites import changed_by_mirror, known_opposites

TEXT_COLUMNS = ("video_id", "path", "class_name", "split", "group", "reader", "why", "reason")
COLUMNS = (
    "video_id",
    "path",
    "label",
    "class_name",
    "split",
    "group",
    "n_frames",
    "fps",
    "width",
    "height",
    "reader",
    "why",
    "readable",
    "reason",
)


MISSING = "missing file"  # reason of a missing video


def prepare(config: Config, dataset: str) -> pd.DataFrame:
    """Write manifest.csv, checks.json, draws.json and opposites.json of one dataset, and return the manifest.

    Nothing is written unless all of them succeed.

    Raises:
        DatasetError: lists or videos are missing or contradict themselves, a class has too few videos, or no test video
            can be read.
    """
    protocol, root = config.profile.protocol, paths.dataset_root(config, dataset)
    split = protocol.split_of(dataset)
    files = {k: paths.listed(config, file) for k, file in protocol.shot_lists.get(dataset, {}).items()}
    module = datasets.load_dataset(dataset)
    lists = {}
    if files:
        lists = shot_lists.read_all(files, module.list_videos(root, split), _other_splits(module, root, split))
    reserved = {video_id for given in lists.values() for video_id in given["videos"]}
    table = paths.video_checks(config, dataset)
    df = build_manifest(
        dataset, root, split, protocol.dev_per_class, config.seed, table, config.profile.check, reserved
    )
    _require_test_videos(df, dataset)
    shot_lists.require_training(lists, set(df.loc[df["split"] == "train", "video_id"]))
    checks = list_oddities(df, dataset, root, split)
    _warn(checks)
    drawn = {**draws.nested(df, protocol.shots, protocol.draw_seeds), "lists": lists}
    folder = paths.manifest(config, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    df.to_csv(folder / "manifest.csv", index=False)
    for name, content in {"checks": checks, "draws": drawn, "opposites": known_opposites(df, root)}.items():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return df


def _require_test_videos(df: pd.DataFrame, dataset: str) -> None:
    test = df[df["split"] == "test"]
    if not test["readable"].any():
        most = f", most often: {draws.commonest(test['reason'])}" if len(test) else ""
        raise DatasetError(f"{dataset}: none of {len(test)} test videos can be read{most}; nothing could be scored")


def _warn(checks: dict[str, Any]) -> None:
    """Warn on the terminal that labels disagree with class folders, or that training videos are also test videos. It
    writes to the process's own stderr, because a notebook captures `sys.stderr`.
    """
    said = {
        "path_class_differs": "listed videos lie in the folder of another class than their label says, {}; the label "
        "is used",
        "train_test_overlap": "videos are listed for both training and test, {}; they are used for the test only",
    }
    for name, words in said.items():
        found = checks[name]
        if found:
            about = words.format(f"{found[0]} for one")
            print(f"warning: {checks['dataset']}: {len(found)} {about} (checks.json lists them)", file=sys.__stderr__)


def load_manifest(config: Config, dataset: str) -> pd.DataFrame:
    """Read manifest.csv: ids and names as text (an empty group or reason is ""), the rest as numbers.

    Raises:
        DatasetError: the dataset has not been prepared, or an earlier version prepared it.
    """
    path = paths.manifest(config, dataset) / "manifest.csv"
    if not path.is_file():
        raise DatasetError(f"'{path}' does not exist; run the prepare stage of {dataset} first")
    df = pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False)
    if not set(COLUMNS) <= set(df.columns):
        lacking = ", ".join(sorted(set(COLUMNS) - set(df.columns)))
        raise DatasetError(f"'{path}' lacks the columns {lacking}; run the prepare stage of {dataset} again")
    return df


def build_manifest(
    dataset: str,
    root: Path,
    split: int,
    dev_per_class: int,
    seed: int,
    table: Path,
    settings: CheckConfig,
    reserved: Collection[str] = (),
) -> pd.DataFrame:
    """The manifest of a dataset in official order: repeated lines once, no training video that is also a test video (by
    name, or by file through a link), the dev pool held out of the training list, and every file inspected.

    Args:
        dataset: file name of a reader in vidprism/datasets.
        root: folder with annotations/ and videos/.
        split: official split.
        dev_per_class: size of the dev pool; whole groups are held out where the dataset has groups.
        seed: decides which videos are held out.
        table: file with the facts of each video (see `vidprism.videos.check`).
        settings: processes and time per video.
        reserved: ids of training videos that the dev pool must not take (external lists of shots name them).

    Returns:
        One row per video with the columns `COLUMNS`; width and height in pixels, fps in Hz, how the video is read and
        why (see `vidprism.videos.ways`), all 0 or "" where readable is False.

    Raises:
        DatasetError: see the dataset's reader, `datasets.check_placed` and `draws.hold_out`.
    """
    module = datasets.load_dataset(dataset)
    listed = module.list_videos(root, split)
    videos = duplicates.drop_duplicates(listed, duplicates.first_of_file(root, listed))
    dev = draws.hold_out([v for v in videos if v.split == "train"], dev_per_class, seed, module.GROUPED, reserved)
    datasets.check_placed(root, module.NAME, videos)
    probed = check_videos(root / "videos", [v.path for v in videos], table, settings)
    missing = [v.path for v, facts in zip(videos, probed, strict=True) if facts.reason == MISSING]
    hints = datasets.beside(root / "videos", missing)
    rows = [
        {
            **vars(v),
            "split": "dev" if v.video_id in dev else v.split,
            "group": v.group or "",
            **_columns(facts, hints.get(v.path, "")),
        }
        for v, facts in zip(videos, probed, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _columns(facts: Facts, hint: str) -> dict[str, Any]:
    return {**facts._asdict(), "readable": not facts.reason, "reason": facts.reason + hint}


def list_oddities(df: pd.DataFrame, dataset: str, root: Path, split: int) -> dict:
    """Oddities of the official lists and of this copy of the videos, as lists of names that are empty if all is well.

    Args:
        df: the manifest that `build_manifest` made from the same dataset, root and split.

    Returns:
        `videos`, `unreadable` (counts a split), `readers` (readable videos by the way they are read), `n_listed` (lines
        of the lists), `copy` (the known copy of the dataset with these counts of readable videos, or None),
        `unlisted_files` (videos that no list of any split names: their number and the first 20), `other_suffixes`
        (files that no list can mean: suffix -> number), `class_counts`, `path_class_differs`, `repeated_lines`,
        `conflicting_labels`, `train_test_overlap` (by name or by file), `same_file` (lists of videos that are one file,
        through links), `group_leakage` (groups on both sides of any two splits), `classes_absent` (split: classes),
        `flip_sensitive` (pairs of classes that a horizontal flip swaps),
        `horizontal_flip` (whether flipping is allowed). Only where there are some: `dev_shares_groups`, the
        classes whose training and dev videos share groups (see `draws.hold_out`).
    """
    module = datasets.load_dataset(dataset)
    listed = module.list_videos(root, split)
    names = module.class_names(root)
    counts = df.groupby(["class_name", "split"]).size().unstack(fill_value=0)
    grouped = df[df["group"] != ""].groupby("group")["split"].nunique()
    differs = [row.path for row in df.itertuples() if _differs(module.path_class(row.path), row.class_name)]
    flips = flip_pairs(module, names)
    shared = _dev_shares_groups(df)
    unlisted, suffixes = _other_files(root, listed, module, split)
    return {
        "dataset": dataset,
        "official_split": split,
        "videos": {k: int(n) for k, n in df["split"].value_counts().sort_index().items()},
        "unreadable": {k: int(n) for k, n in (~df["readable"]).groupby(df["split"]).sum().items()},
        "readers": {k: int(n) for k, n in df.loc[df["readable"], "reader"].value_counts().sort_index().items()},
        "n_listed": len(listed),
        "copy": _known_copy(module, df),
        "unlisted_files": unlisted,
        "other_suffixes": suffixes,
        "classes": len(names),
        "class_counts": {name: {k: int(n) for k, n in row.items()} for name, row in counts.to_dict("index").items()},
        "path_class_differs": differs,
        **duplicates.list_checks(listed, duplicates.first_of_file(root, listed)),
        "group_leakage": sorted(grouped[grouped > 1].index),
        **({"dev_shares_groups": shared} if shared else {}),
        "classes_absent": {k: sorted(set(names) - set(part["class_name"])) for k, part in df.groupby("split")},
        "flip_sensitive": [list(pair) for pair in flips],
        "horizontal_flip": module.HORIZONTAL_FLIP and not flips and not changed_by_mirror(root),
    }


def _differs(told: str | None, class_name: str) -> bool:
    """Whether a path names another class; a different spelling of the class's own folder does not count."""
    return told is not None and skeleton(told) != skeleton(class_name)


def _dev_shares_groups(df: pd.DataFrame) -> list[str]:
    """Classes with a group in both the training list and the dev pool."""
    sides = df[(df["group"] != "") & df["split"].isin(["train", "dev"])].groupby(["class_name", "group"])["split"]
    return sorted({name for (name, _), n in sides.nunique().items() if n > 1})


def _known_copy(module: ModuleType, df: pd.DataFrame) -> str | None:
    """The name of the known copy with these counts. `KNOWN_COPIES` maps a name to (training, test) counts, None for an
    unknown count.
    """
    readable = df[df["readable"]]
    n_test = int((readable["split"] == "test").sum())
    counts = (len(readable) - n_test, n_test)
    for name, known in getattr(module, "KNOWN_COPIES", {}).items():
        if all(k in (None, n) for k, n in zip(known, counts, strict=True)):
            return name
    return None


def _other_splits(module: ModuleType, root: Path, split: int) -> dict[int, list[Video]]:
    """The lists of the other official splits, as far as they exist."""
    found = {}
    for other in module.SPLITS:
        if other != split:
            with suppress(MissingError):
                found[other] = module.list_videos(root, other)
    return found


def _other_files(
    root: Path, listed: list[Video], module: ModuleType, split: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """Video files that the lists of no split name (clips of another copy, or unused downloads), and the number of files
    with each suffix that no listed video has.
    """
    others = _other_splits(module, root, split).values()
    named = {v.path for videos in (listed, *others) for v in videos}
    replaced = module.replaced(root) if hasattr(module, "replaced") else ()
    videos, suffixes = root / "videos", {PurePosixPath(path).suffix.lower() for path in named}
    unlisted: list[str] = []
    strange: Counter[str] = Counter()
    for folder, _, file_names in os.walk(videos):
        for name in filter(datasets.is_visible, file_names):
            path, suffix = Path(folder, name).relative_to(videos).as_posix(), PurePosixPath(name).suffix.lower()
            if suffix not in suffixes:
                strange[suffix or "none"] += 1
            elif name not in replaced and path not in named:
                unlisted.append(path)
    return {"count": len(unlisted), "first": sorted(unlisted)[:20]}, dict(sorted(strange.items()))


def flip_pairs(module: ModuleType, names: list[str]) -> list[tuple[str, str]]:
    """Pairs of `names` that a horizontal flip swaps: those that the dataset declares, and names that differ only by
    left and right.
    """
    other = {"left": "right", "right": "left"}
    found = {tuple(sorted(pair)) for pair in module.FLIP_PAIRS if set(pair) <= set(names)}
    for name in names:
        mirrored = re.sub(r"(?<![A-Za-z])(left|right)(?![A-Za-z])", lambda m: other[m[0]], name)
        if mirrored != name and mirrored in names:
            found.add(tuple(sorted((name, mirrored))))
    return sorted(found)
