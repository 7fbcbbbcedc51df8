"""From the official lists to a manifest: one row per listed video, with what it holds, or why it cannot be
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

from vidprism import datasets, draws, paths, probing, shot_lists
from vidprism.config import CheckConfig, Config
from vidprism.datasets import DatasetError, MissingError, Video

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


def prepare(config: Config, dataset: str) -> pd.DataFrame:
    """Write manifest.csv, checks.json and draws.json of one dataset, and return the manifest.

    Nothing is written unless all three could be made.

    Raises:
        DatasetError: lists or videos are missing or contradict themselves, a class has too few videos, or no test video
            can be read.
    """
    protocol, root = config.profile.protocol, paths.dataset_root(config, dataset)
    split = protocol.split_of(dataset)
    files = {k: paths.listed(config, file) for k, file in protocol.shot_lists.get(dataset, {}).items()}
    lists = shot_lists.read_all(files, datasets.load(dataset).list_videos(root, split)) if files else {}
    reserved = {video_id for given in lists.values() for video_id in given["videos"]}
    table = paths.probes(config, dataset)
    df = build(dataset, root, split, protocol.dev_per_class, config.seed, table, config.profile.check, reserved)
    _require_test_videos(df, dataset)
    checks = check(df, dataset, root, split)
    _warn(checks)
    drawn = {**draws.nested(df, protocol.shots, protocol.draw_seeds), "lists": lists}
    folder = paths.manifest(config, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    df.to_csv(folder / "manifest.csv", index=False)
    for name, content in {"checks": checks, "draws": drawn}.items():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return df


def _require_test_videos(df: pd.DataFrame, dataset: str) -> None:
    test = df[df["split"] == "test"]
    if not test["readable"].any():
        most = f", most often: {draws.commonest(test['reason'])}" if len(test) else ""
        raise DatasetError(f"{dataset}: none of {len(test)} test videos can be read{most}; nothing could be scored")


def _warn(checks: dict[str, Any]) -> None:
    """Say that labels disagree with class folders, on the terminal: a notebook keeps `sys.stderr` to itself."""
    differs = checks["path_class_differs"]
    if differs:
        print(
            f"warning: {checks['dataset']}: {len(differs)} listed videos lie in the folder of another class than their "
            f"label says, {differs[0]} for one; the label is used (checks.json lists them)",
            file=sys.__stderr__,
        )


def load(config: Config, dataset: str) -> pd.DataFrame:
    """Read manifest.csv: ids and names as text (an empty group or reason is ""), the rest as numbers.

    Raises:
        DatasetError: the dataset has not been prepared, or by an earlier version.
    """
    path = paths.manifest(config, dataset) / "manifest.csv"
    if not path.is_file():
        raise DatasetError(f"'{path}' does not exist; run the prepare stage of {dataset} first")
    df = pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False)
    if not set(COLUMNS) <= set(df.columns):
        lacking = ", ".join(sorted(set(COLUMNS) - set(df.columns)))
        raise DatasetError(f"'{path}' lacks the columns {lacking}; run the prepare stage of {dataset} again")
    return df


def build(
    dataset: str,
    root: Path,
    split: int,
    dev_per_class: int,
    seed: int,
    table: Path,
    settings: CheckConfig,
    reserved: Collection[str] = (),
) -> pd.DataFrame:
    """The manifest of a dataset: official order, repeated lines once, dev held out of the training list,
    every file probed.

    Args:
        dataset: file name of a reader in vidprism/datasets.
        root: folder with annotations/ and videos/.
        split: official split.
        dev_per_class: size of the dev pool; whole groups are held out where the dataset has groups.
        seed: decides which videos are held out.
        table: where what is known of each file is kept (see `vidprism.probing`).
        settings: processes and time per video.
        reserved: ids of training videos that the dev pool must not take (external lists of shots name them).

    Returns:
        One row per video with the columns `COLUMNS`; width and height in pixels, fps in Hz, how the video is read and
        why (see `vidprism.ways`), all 0 or "" where readable is False.

    Raises:
        DatasetError: see the dataset's reader, `datasets.check_placed` and `draws.hold_out`.
    """
    module = datasets.load(dataset)
    videos = _distinct(module.list_videos(root, split))
    dev = draws.hold_out([v for v in videos if v.split == "train"], dev_per_class, seed, module.GROUPED, reserved)
    datasets.check_placed(root, module.NAME, videos)
    probed = probing.probe_all(root / "videos", [v.path for v in videos], table, settings, f"checking {module.NAME}")
    rows = [
        {**vars(v), "split": "dev" if v.video_id in dev else v.split, "group": v.group or "", **_columns(facts)}
        for v, facts in zip(videos, probed, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _columns(facts: probing.Facts) -> dict[str, Any]:
    return {**facts._asdict(), "readable": not facts.reason}


def check(df: pd.DataFrame, dataset: str, root: Path, split: int) -> dict:
    """What is odd in the official lists and in this copy of the videos; lists of names, empty where all is
    well.

    Args:
        df: the manifest that `build` made from the same dataset, root and split.

    Returns:
        `videos`, `unreadable` (counts a split), `readers` (readable videos by the way they are read), `n_listed` (lines
        of the lists), `copy` (the known copy of the dataset with these counts of readable videos, or None),
        `unlisted_files` (videos that no list of any split names: their number and the first 20), `class_counts`,
        `path_class_differs`, `repeated_lines`, `conflicting_labels`, `train_test_overlap`, `group_leakage` (groups on
        both sides of any two splits), `classes_absent` (split: classes), `flip_sensitive` (pairs of classes that a
        horizontal flip swaps),
        `horizontal_flip` (whether flipping is allowed). Only where there are some: `dev_shares_groups`, the
        classes of which training and dev videos share groups (see `draws.hold_out`).
    """
    module = datasets.load(dataset)
    listed = module.list_videos(root, split)
    names = module.class_names(root)
    counts = df.groupby(["class_name", "split"]).size().unstack(fill_value=0)
    grouped = df[df["group"] != ""].groupby("group")["split"].nunique()
    differs = [row.path for row in df.itertuples() if module.path_class(row.path) not in (None, row.class_name)]
    flips = flip_pairs(module, names)
    shared = _dev_shares_groups(df)
    return {
        "dataset": dataset,
        "official_split": split,
        "videos": {k: int(n) for k, n in df["split"].value_counts().sort_index().items()},
        "unreadable": {k: int(n) for k, n in (~df["readable"]).groupby(df["split"]).sum().items()},
        "readers": {k: int(n) for k, n in df.loc[df["readable"], "reader"].value_counts().sort_index().items()},
        "n_listed": len(listed),
        "copy": _known_copy(module, df),
        "unlisted_files": _unlisted(root, listed, module, split),
        "classes": len(names),
        "class_counts": {name: {k: int(n) for k, n in row.items()} for name, row in counts.to_dict("index").items()},
        "path_class_differs": differs,
        **_list_checks(listed),
        "group_leakage": sorted(grouped[grouped > 1].index),
        **({"dev_shares_groups": shared} if shared else {}),
        "classes_absent": {k: sorted(set(names) - set(part["class_name"])) for k, part in df.groupby("split")},
        "flip_sensitive": [list(pair) for pair in flips],
        "horizontal_flip": module.HORIZONTAL_FLIP and not flips,
    }


def _dev_shares_groups(df: pd.DataFrame) -> list[str]:
    """Classes that have a group in the training list and in the dev pool."""
    sides = df[(df["group"] != "") & df["split"].isin(["train", "dev"])].groupby(["class_name", "group"])["split"]
    return sorted({name for (name, _), n in sides.nunique().items() if n > 1})


def _known_copy(module: ModuleType, df: pd.DataFrame) -> str | None:
    """The dataset's `KNOWN_COPIES` hold name -> (training, test) counts, None for a count that is not known."""
    readable = df[df["readable"]]
    n_test = int((readable["split"] == "test").sum())
    counts = (len(readable) - n_test, n_test)
    for name, known in getattr(module, "KNOWN_COPIES", {}).items():
        if all(k in (None, n) for k, n in zip(known, counts, strict=True)):
            return name
    return None


def _unlisted(root: Path, listed: list[Video], module: ModuleType, split: int) -> dict[str, Any]:
    """Video files that the lists of no split name: clips of another copy, or downloads that nothing uses. Lists of
    splits that are not used may be absent.
    """
    named = {v.path for v in listed}
    for other in module.SPLITS:
        if other != split:
            with suppress(MissingError):
                named |= {v.path for v in module.list_videos(root, other)}
    replaced = module.replaced(root) if hasattr(module, "replaced") else ()
    videos, suffixes = root / "videos", {PurePosixPath(path).suffix.lower() for path in named}
    files = (Path(folder, name) for folder, _, names in os.walk(videos) for name in names)
    found = sorted(
        path
        for file in files
        if file.suffix.lower() in suffixes
        and not file.name.startswith(".")
        and file.name not in replaced
        and (path := file.relative_to(videos).as_posix()) not in named
    )
    return {"count": len(found), "first": found[:20]}


def flip_pairs(module: ModuleType, names: list[str]) -> list[tuple[str, str]]:
    """Pairs of `names` that a horizontal flip swaps: those the dataset declares, and those that differ by
    left and right alone.
    """
    other = {"left": "right", "right": "left"}
    found = {tuple(sorted(pair)) for pair in module.FLIP_PAIRS if set(pair) <= set(names)}
    for name in names:
        mirrored = re.sub(r"(?<![A-Za-z])(left|right)(?![A-Za-z])", lambda m: other[m[0]], name)
        if mirrored != name and mirrored in names:
            found.add(tuple(sorted((name, mirrored))))
    return sorted(found)


def _distinct(listed: list[Video]) -> list[Video]:
    """Each video once, in order: a repeated line is dropped, and a training line of a test video is dropped
    (both are checks).
    """
    test = {v.video_id for v in listed if v.split == "test"}
    first: dict[str, Video] = {}
    for v in listed:
        if v.split == "test" or v.video_id not in test:
            first.setdefault(v.video_id, v)
    return list(first.values())


def _list_checks(listed: list[Video]) -> dict[str, list[str]]:
    lines = Counter((v.split, v.video_id) for v in listed)
    labels: dict[str, set[int]] = {}
    splits: dict[str, set[str]] = {}
    for v in listed:
        labels.setdefault(v.video_id, set()).add(v.label)
        splits.setdefault(v.video_id, set()).add(v.split)
    return {
        "repeated_lines": sorted(video_id for (_, video_id), n in lines.items() if n > 1),
        "conflicting_labels": sorted(video_id for video_id, seen in labels.items() if len(seen) > 1),
        "train_test_overlap": sorted(video_id for video_id, seen in splits.items() if len(seen) > 1),
    }
