"""One video under several names: lines that are repeated, and links that make one file of two videos."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from vidprism.datasets import Video


def first_of_file(root: Path, listed: list[Video]) -> dict[str, str]:
    """Video id -> id of the first listed video that is the same file, itself where there is none. Links,
    symbolic or hard, make one file of two names; a file that is missing or empty is nobody's twin.
    """
    by_file: dict[tuple[int, int], str] = {}
    found = {}
    for v in listed:
        if v.video_id not in found:
            try:
                status = os.stat(root / "videos" / v.path)
            except OSError:
                status = None
            twin = by_file.setdefault((status.st_dev, status.st_ino), v.video_id) if status and status.st_size else None
            found[v.video_id] = twin or v.video_id
    return found


def distinct(listed: list[Video], firsts: dict[str, str]) -> list[Video]:
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
    """What is there more than once: `repeated_lines` (of one split), `conflicting_labels` and `train_test_overlap`
    (ids; of one file, the first), and `same_file` (lists of the ids that are one file).
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
