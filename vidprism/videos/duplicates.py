"""Videos with several names: repeated lines, and links that make two videos the same file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from vidprism.datasets import Video


def first_of_file(root: Path, listed: list[Video]) -> dict[str, str]:
    """Video id -> id of the first listed video that is the same file (itself if there is no other). Symbolic and hard
    links give one file two names. A missing or empty file is equal to no other.
    """
    by_file: dict[tuple[int, ...], str] = {}
    found = {}
    for v in listed:
        if v.video_id not in found:
            file = _identity(root / "videos" / v.path)
            found[v.video_id] = by_file.setdefault(file, v.video_id) if file else v.video_id
    return found


def _identity(path: Path) -> tuple[int, ...] | None:
    """What two names of one file share, or None if that is unknown. Size and time are included because some network
    file systems give one number to several files, or 0 to all.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    known = status.st_ino and status.st_size
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) if known else None


def drop_duplicates(listed: list[Video], firsts: dict[str, str]) -> list[Video]:
    """Each video once, in order: a repeated line is dropped, and so is a training line of a test video, or of a file
    that an earlier training line has under another name (all are checks). Test lines of one file stay, as the list has
    them.
    """
    test = {firsts[v.video_id] for v in listed if v.split == "test"}
    found: dict[str, Video] = {}
    for v in listed:
        file = firsts[v.video_id]
        if v.split == "test":
            found.setdefault(v.video_id, v)
        elif file not in test:
            found.setdefault(file, v)
    return list(found.values())


def list_checks(listed: list[Video], firsts: dict[str, str]) -> dict[str, list]:
    """Everything that occurs more than once: `repeated_lines` (within one split), `conflicting_labels` and
    `train_test_overlap` (ids; the first one of a file), and `same_file` (lists of the ids that share a file).
    """
    lines = Counter((v.split, v.video_id) for v in listed)
    labels: dict[str, set[int]] = {}
    splits: dict[str, set[str]] = {}
    same: dict[str, set[str]] = {}
    for v in listed:
        file = firsts[v.video_id]
        labels.setdefault(file, set()).add(v.label)
        splits.setdefault(file, set()).add(v.split)
        same.setdefault(file, set()).add(v.video_id)
    return {
        "repeated_lines": sorted(video_id for (_, video_id), n in lines.items() if n > 1),
        "conflicting_labels": sorted(video_id for video_id, seen in labels.items() if len(seen) > 1),
        "train_test_overlap": sorted(video_id for video_id, seen in splits.items() if len(seen) > 1),
        "same_file": sorted(sorted(ids) for ids in same.values() if len(ids) > 1),
    }
