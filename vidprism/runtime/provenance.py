"""Where a number comes from: the loaded code, the commit that was checked out, and the machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

CHOICE = re.compile(r"^profile: \*\w+$", re.MULTILINE)  # the line of params.yaml that chooses a profile
PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "decord",
    "eva-decord",
    "numpy",
    "scikit-learn",
    "safetensors",
    "accelerate",
)


def loaded_files() -> list[Path]:
    """Source files of the vidprism modules that this process has imported, sorted."""
    modules = [m for name, m in list(sys.modules.items()) if name == "vidprism" or name.startswith("vidprism.")]
    return sorted({Path(file).resolve() for m in modules if (file := getattr(m, "__file__", None))})


@cache
def package_version() -> str:
    """Version of the whole package, loaded or not: first 12 hex digits of a sha256 over its modules."""
    package = Path(__file__).resolve().parents[1]
    return _digest(sorted(package.rglob("*.py")))


def code_version() -> dict[str, object]:
    """Version of the code behind a result.

    Returns:
        `version`: first 12 hex digits of the sha256 over the loaded vidprism modules (names and bytes);
        `base_commit` and `dirty`: the commit checked out, and whether code, notebooks or params.yaml differ
        from it (None outside git). The line of params.yaml that chooses a profile does not count: the record
        names its profile.
    """
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "vidprism", "notebooks")
    dirty = None if changed is None else bool(changed) or _parameters_differ()
    return {"version": _digest(loaded_files()), "base_commit": commit, "dirty": dirty}


def _parameters_differ() -> bool:
    """Whether params.yaml differs from the commit in more than the profile that it chooses."""
    committed, file = _git("show", "HEAD:./params.yaml"), Path("params.yaml")
    if committed is None or not file.is_file():
        return True
    texts = (committed, file.read_text(encoding="utf-8").strip())
    return len({CHOICE.sub("profile:", text) for text in texts}) > 1


def environment(device: str = "cpu", world_size_asked: int = 1, world_size_obtained: int = 1) -> dict[str, object]:
    """Versions and hardware of this process. Wall times and host names are left out, so that equal runs give equal
    records.
    """
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # decord or eva-decord, whichever this platform does not use
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    return {
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "world_size_asked": world_size_asked,
        "world_size_obtained": world_size_obtained,
    }


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None  # an unpacked archive has no history: the record says None
    return done.stdout.strip()


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
