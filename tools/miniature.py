"""Miniature copies of the official datasets, written by hand in their formats, with their quirks.

`BUILDERS[name](root)` writes ``annotations/`` and ``videos/`` under `root`. A new dataset adds its builder here, and
the conformance tests find it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

CODECS = {".avi": "mpeg4", ".mp4": "libx264", ".webm": "libvpx-vp9"}


def write_video(path: Path, n_frames: int = 12, size: tuple[int, int] = (64, 48), fps: int = 25) -> Path:
    """A video with frames that get brighter, the left half darker than the right; `size` is (width, height) in
    pixels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w") as file:
        stream = file.add_stream(CODECS[path.suffix], rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 6
        for i in range(n_frames):
            frame = np.full((height, width, 3), (20 + 6 * i) % 200, dtype=np.uint8)
            frame[:, width // 2 :] += 30
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file with these lines, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def ucf101(root: Path, groups: int = 6, takes: int = 2) -> None:
    """Three classes, test groups 1 and 2, training groups 3 and up; the file names of HandstandPushups differ in a
    capital.
    """
    tokens = {
        "ApplyEyeMakeup": "ApplyEyeMakeup",
        "HandstandPushups": "HandStandPushups",
        "YoYo": "YoYo",
    }
    lists = root / "annotations" / "ucfTrainTestlist"
    write_lines(lists / "classInd.txt", [f"{i} {name}" for i, name in enumerate(tokens, 1)])
    train, test = [], []
    for number, (name, token) in enumerate(tokens.items(), 1):
        for group in range(1, groups + 1):
            for take in range(1, takes + 1):
                path = f"{name}/v_{token}_g{group:02d}_c{take:02d}.avi"
                write_video(root / "videos" / path)
                test.append(path) if group <= 2 else train.append(f"{path} {number}")
    for split in (1, 2, 3):
        write_lines(lists / f"trainlist0{split}.txt", train)
        write_lines(lists / f"testlist0{split}.txt", test)


HMDB_FILMS = ("#1_Fan_(part_2)", "Don't;Stop!", "[Uncut]_A_&_B", "plain", "Rain kick", "x_kick_y")


def hmdb51(root: Path) -> None:
    """kick and kick_ball (whose list files sort the other way round), awkward names, codes 0, 1 and 2."""
    for name in ("kick", "kick_ball", "sword"):
        lines = []
        for i, film in enumerate(HMDB_FILMS):
            for cut in range(3):
                clip = f"{film}_{name}_f_cm_np1_ba_bad_{cut}.avi"
                write_video(root / "videos" / name / clip)
                code = 2 if i == 0 else 0 if (i, cut) == (1, 0) else 1
                lines.append(f"{clip} {code} ")
        for split in (1, 2, 3):
            lists = root / "annotations" / "testTrainMulti_7030_splits"
            write_lines(lists / f"{name}_test_split{split}.txt", lines)


SSV2_TEMPLATES = (
    "Pushing [something] from left to right",
    "Pushing [something] from right to left",
    "Putting [something] on [something]",
)


def ssv2(root: Path) -> None:
    """Ids in the labels file are unordered text; templates have brackets; test entries only have an id."""
    keys = [template.replace("[", "").replace("]", "") for template in SSV2_TEMPLATES]
    content: dict[str, object] = {
        "labels": {keys[2]: "2", keys[0]: "0", keys[1]: "1"},
        "test": [{"id": "999"}],
    }
    number = 1
    for which, n in (("train", 9), ("validation", 2)):
        content[which] = []
        for template, key in zip(SSV2_TEMPLATES, keys, strict=True):
            for _ in range(n):
                entry = {
                    "id": str(number),
                    "label": key.lower().replace("something", "a cup"),
                    "template": template,
                    "placeholders": ["a cup"],
                }
                content[which].append(entry)
                write_video(root / "videos" / f"{number}.webm", fps=12)
                number += 1
    for which, entries in content.items():
        path = root / "annotations" / f"something-something-v2-{which}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entries), encoding="utf-8")


def kinetics400(root: Path, blank: str = "_", is_cc: bool = False, flat: bool = False) -> None:
    """Class folders with underscores for blanks, ids with a leading dash, a quoted class name, unordered
    classes.
    """
    header = "label,youtube_id,time_start,time_end,split" + (",is_cc" if is_cc else "")
    for split, folder, n in (("train", "train", 9), ("validate", "val", 2)):
        lines = [header]
        for c, name in enumerate(("playing drums", "air drumming", "massaging person's head")):
            for i in range(n):
                clip_id, start = f"-{folder[0]}{c}_{i:07d}", 10 * i
                inside = folder if flat else f"{folder}/{name.replace(' ', blank)}"
                write_video(root / "videos" / inside / f"{clip_id}_{start:06d}_{start + 10:06d}.mp4")
                label = f'"{name}"'
                lines.append(f"{label},{clip_id},{start},{start + 10},{split}" + (",0" if is_cc else ""))
        write_lines(root / "annotations" / f"{split}.csv", lines)


def custom(root: Path) -> None:
    """A CSV list with groups, a class name with an underscore, and files in folders with other names."""
    lines = ["path,label,split,group"]
    for name in ("open_door", "close_door", 'say "hi", wave'):
        for i in range(12):
            path = f"day {i % 4}/{name[:4].strip()}-{i}.mp4"
            write_video(root / "videos" / path)
            quoted = '"' + name.replace('"', '""') + '"'
            lines.append(f"{path},{quoted},{'test' if i % 4 == 0 else 'train'},day {i % 4} {i // 8} {name[:4]}")
    write_lines(root / "annotations" / "videos.csv", lines)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "custom": custom,
    "hmdb51": hmdb51,
    "kinetics400": kinetics400,
    "ssv2": ssv2,
    "ucf101": ucf101,
}
