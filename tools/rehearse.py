"""Rehearse the paper profile on this machine: full model size, random weights, miniature copies of the datasets.

    python -m tools.rehearse

It runs every stage of the profile `rehearsal` in a copy of the working tree below data/rehearsal/, on miniature
datasets in the official layouts, with their quirks and some broken files. It then copies the reports back, and ends
with reports/tables/rehearsal/rehearsal.html: what ran, and every row of the paper profile, built without memory and
counted. Because a copy runs, params.yaml and the dvc.lock files never change, and every rehearsal starts from scratch.
A comparison of all other files before and after shows that nothing else was written.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tools import miniature, rehearsal_page
from tools.with_profile import choose
from vidprism import datasets
from vidprism.config import find_root, load_config

PROFILE = "rehearsal"
PAGES = ("runs", "table", "readings")  # stages that together need every other stage except the index
WATCHED = ("data", "reports", "params.yaml", "dvc.lock", "pipelines")

Snapshot = dict[str, tuple[int, int]]


def write_data(root: Path) -> None:
    """Write a miniature copy of each official dataset below `root`. In each, one training and one test video are
    damaged and one training video is missing. Only one of the other test videos per class remains, because scoring a
    video takes half a minute on two cores.
    """
    for name in ("hmdb51", "kinetics400", "ssv2", "ucf101"):
        miniature.BUILDERS[name](root / name)
        videos = datasets.load_dataset(name).list_videos(root / name, 1)
        train = [root / name / "videos" / v.path for v in videos if v.split == "train"]
        damaged, *test = (v for v in videos if v.split == "test")
        train[0].unlink()
        train[-1].write_bytes(b"")
        path = root / name / "videos" / damaged.path
        path.write_bytes(path.read_bytes()[:400])
        first_of_class = {v.label: v for v in reversed(test)}.values()
        for video in set(test) - set(first_of_class):
            (root / name / "videos" / video.path).unlink()


def copy_tree(root: Path, copy: Path) -> None:
    """Copy the files that git would carry into a new repository, with the rehearsal chosen in params.yaml."""
    shutil.rmtree(copy, ignore_errors=True)
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file():  # a deleted file is still in git's list
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    params = copy / "params.yaml"
    params.write_text(choose(params.read_text(encoding="utf-8"), PROFILE), encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    author = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.org")
    for command in (("add", "-A"), (*author, "commit", "-qm", "rehearsal")):
        subprocess.run(["git", *command], cwd=copy, check=True)


def bring_back(copy: Path, root: Path) -> None:
    """Replace the reports of an earlier rehearsal by the new ones."""
    for source in (copy / "reports").glob(f"*/{PROFILE}"):
        target = root / source.relative_to(copy)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)


def snapshot(root: Path) -> Snapshot:
    """Size and modification time of every file that a pipeline may write, except those of the rehearsal."""
    found = {}
    for watched in WATCHED:
        top = root / watched
        for path in (top, *top.rglob("*")):
            name = path.relative_to(root)
            if path.is_file() and not any(PROFILE in part for part in name.parts):
                state = path.stat()
                found[name.as_posix()] = (state.st_size, state.st_mtime_ns)
    return found


def check_untouched(before: Snapshot, after: Snapshot) -> None:
    """Check that only the rehearsal's own files changed.

    Raises:
        RuntimeError: files were written, changed or deleted; the message names them.
    """
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        more = f" and {len(changed) - 10} more" if len(changed) > 10 else ""
        raise RuntimeError(
            f"while the rehearsal ran, files that are not its own changed: {', '.join(changed[:10])}{more}; "
            "something else ran in this checkout, or a stage of the rehearsal wrote under another profile's name"
        )


def main() -> int:
    """Exit status of the pipeline."""
    root = find_root()
    copy = root / "data" / PROFILE / "suite"
    before = snapshot(root)
    copy_tree(root, copy)
    write_data(copy / "data" / PROFILE)
    status = subprocess.run([sys.executable, "-m", "dvc", "repro", *PAGES], cwd=copy, check=False).returncode
    bring_back(copy, root)
    check_untouched(before, snapshot(root))
    if status:
        print(f"the pipeline stopped; its files are in {copy.relative_to(root)}", file=sys.stderr)
        return status
    print(rehearsal_page.write(load_config(PROFILE, root), load_config("paper", root)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
