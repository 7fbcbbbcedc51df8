"""The dvc.lock files while another profile than the chosen one runs: DVC adds its stages, and they go afterwards.

A file that then says the same as before gets its earlier text back, because DVC numbers the anchors of the YAML again.
Another run finds the outputs in DVC's cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tools import with_profile

PIPELINES = ("ablations", "closed_set", "few_shot")


@contextmanager
def without_entries_of(profile: str) -> Iterator[None]:
    """Inside the block DVC may add stages of `profile`; afterwards the files in this folder hold none that is new."""
    files = [Path("dvc.lock"), *(Path("pipelines") / group / "dvc.lock" for group in PIPELINES)]
    held = {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}
    try:
        yield
    finally:
        for file, before in held.items():
            text = file.read_text(encoding="utf-8")
            if put_back(text, before, profile) != text:
                with_profile.write_whole(file, put_back(text, before, profile))


def put_back(text: str, before: str, profile: str) -> str:
    """The text of a dvc.lock after a run, given that `before` it: without the profile's new stages, and unchanged if
    nothing else is new.
    """
    kept = without_new(text, stages(before, profile), profile)
    return before if kept == before or _content(kept) == _content(before) else kept


def stages(text: str, profile: str) -> set[str]:
    """The stages of the profile in the text of a dvc.lock."""
    return {match[1] for match in _entries(profile).finditer(text)}


def without_new(text: str, before: set[str], profile: str) -> str:
    """The text of a dvc.lock without the profile's stages that it did not hold before."""
    return _entries(profile).sub(lambda match: match[0] if match[1] in before else "", text)


def _entries(profile: str) -> re.Pattern[str]:
    return re.compile(rf"^  (\S+@{re.escape(profile)}(?:-\S*)?):\n(?:(?:    .*|  - .*|)\n)*", re.MULTILINE)


def _content(text: str) -> object:
    return yaml.safe_load(text)
