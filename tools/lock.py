"""Write requirements.lock: the exact versions of everything that pyproject.toml needs, as plain name==version lines.

    python tools/lock.py > requirements.lock

Run it in an environment that was installed from pyproject.toml. Packages that torch itself pins exactly (the CUDA
libraries and triton, which exist for some platforms only) are left to torch, so that one lock serves machines with
and without a GPU. Requirements that hold on any of the supported versions of Python are in it, so that one lock serves
them all.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
PINNED_BY_TORCH = ("nvidia-", "cuda-", "triton")
ON_DARWIN = {"decord": "eva-decord==0.6.1 ; sys_platform == 'darwin'"}


def closure(requirements: list[str]) -> dict[str, str]:
    """Name -> version of the requirements and of all that they need on this platform with any supported Python."""
    found: dict[str, str] = {}
    todo = [(Requirement(text), frozenset()) for text in requirements]
    seen = set()
    while todo:
        requirement, _ = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, tuple(sorted(requirement.extras))) in seen or name.startswith(PINNED_BY_TORCH):
            continue
        if requirement.marker and not _holds(requirement.marker, ("", "dev")):
            continue
        seen.add((name, tuple(sorted(requirement.extras))))
        dist = importlib.metadata.distribution(name)
        found[name] = dist.version
        for text in dist.requires or []:
            need = Requirement(text)
            if need.marker is None or _holds(need.marker, ("", *requirement.extras)):
                todo.append((Requirement(text.split(";")[0]), frozenset()))
    return found


def _holds(marker: Marker, extras: Iterable[str]) -> bool:
    """Whether a marker holds on any supported Python with any of the extras."""
    places = ({"python_version": v, "python_full_version": f"{v}.0", "extra": e} for v in PYTHONS for e in extras)
    return any(marker.evaluate(place) for place in places)


def main() -> None:
    """Print the lock of the environment that runs this."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = closure(project["dependencies"] + project["optional-dependencies"]["dev"])
    for name, version in sorted(pins.items()):
        if name in ON_DARWIN:
            print(f"{name}=={version} ; sys_platform != 'darwin'")
            print(ON_DARWIN[name])
        else:
            print(f"{name}=={version}")


if __name__ == "__main__":
    main()
