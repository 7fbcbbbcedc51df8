"""Rehearse the paper profile on this machine: full model size, random weights, miniature copies of the datasets.

    python -m tools.rehearse

Writes data/rehearsal/ (miniature copies in the official layouts, with their quirks and some broken files), runs every
stage of the profile `rehearsal`, and ends with reports/tables/rehearsal/rehearsal.html: what ran, and every row of
the paper profile built without memory and counted. Nothing is written under the name of another profile; dvc.lock files
and params.yaml are left as they were, so that every rehearsal runs from the start.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests import miniature
from tools.with_profile import choose
from vidprism import datasets, rehearsal
from vidprism.config import find_root, load_config

LOCKS = ("dvc.lock", *(f"pipelines/{group}/dvc.lock" for group in ("ablations", "closed_set", "few_shot")))


def write_data(root: Path) -> None:
    """A miniature copy of each official dataset below `root`; of each, one training and one test video are damaged and
    a training video is missing.
    """
    for name in ("hmdb51", "kinetics400", "ssv2", "ucf101"):
        miniature.BUILDERS[name](root / name)
        videos = datasets.load(name).list_videos(root / name, 1)
        train = [root / name / "videos" / v.path for v in videos if v.split == "train"]
        test = [root / name / "videos" / v.path for v in videos if v.split == "test"]
        train[0].unlink()
        train[-1].write_bytes(b"")
        test[0].write_bytes(test[0].read_bytes()[:400])


def main() -> int:
    """Exit status of the pipeline."""
    root = find_root()
    data = root / "data" / "rehearsal"
    shutil.rmtree(data, ignore_errors=True)
    for folder in ("manifests", "probes", "runs"):
        shutil.rmtree(root / "data" / folder / "rehearsal", ignore_errors=True)
    write_data(data)
    kept = {path: path.read_bytes() for name in (*LOCKS, "params.yaml") if (path := root / name).is_file()}
    params = root / "params.yaml"
    try:
        params.write_text(choose(params.read_text(encoding="utf-8"), "rehearsal"), encoding="utf-8")
        targets = [name.replace("dvc.lock", "dvc.yaml") for name in LOCKS[1:]]
        status = subprocess.run(["dvc", "repro", *targets], cwd=root, check=False).returncode
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    if status:
        return status
    print(rehearsal.write(load_config("rehearsal", root), load_config("paper", root)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
