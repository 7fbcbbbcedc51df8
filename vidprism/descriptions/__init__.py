"""Sentences that describe the classes of a dataset, for methods that read more than a class name (OST, ETL).

For generated datasets the suite's own (`generated`). For real ones a file in data/lists that `protocol.descriptions`
names, JSON: ``{class name: {kind: [sentence, ...]}}``, keyed by class name because published files number the classes
differently. The publications' own sentences are not part of this repository; data/README.md says where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidprism.config import Config, ConfigError, nearest

Described = dict[str, tuple[tuple[str, ...], ...]]  # kind -> sentences of each class


def describe(
    config: Config, dataset: str, class_names: Sequence[str], kinds: Mapping[str, int]
) -> tuple[Described, dict[str, str]]:
    """The first n sentences of each kind for each class, and where they come from ("file", "sha256").

    Raises:
        ConfigError: a real dataset has no file, the file is not as described above, or a class has too few sentences.
    """
    if config.profile.generated:
        from vidprism.descriptions import generated

        content, source = {name: generated.written_for(dataset, name) for name in class_names}, {"file": "generated"}
    else:
        path = _file(config, dataset)
        content, source = _content(path), {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    found = {
        kind: tuple(_sentences(content, name, kind, n, source["file"]) for name in class_names)
        for kind, n in kinds.items()
    }
    return found, source


def _file(config: Config, dataset: str) -> Path:
    named = config.profile.protocol.descriptions
    if dataset not in named:
        raise ConfigError(
            f"params.yaml: a method reads sentences about the classes of {dataset}; put a file of them into data/lists "
            f"and name it in protocol.descriptions.{dataset} (data/README.md says what it holds and who publishes some)"
        )
    path = config.root_dir / "data" / "lists" / named[dataset]
    if not path.is_file():
        raise ConfigError(
            f"params.yaml: protocol.descriptions.{dataset} names data/lists/{path.name}, which is missing"
        )
    return path


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"data/lists/{path.name} is not JSON in UTF-8: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"data/lists/{path.name} must map class names to sentences, and holds a {type(content).__name__}"
        )
    return content


def _sentences(content: dict[str, Any], name: str, kind: str, n: int, file: str) -> tuple[str, ...]:
    if name not in content:
        raise ConfigError(f"{file} has no class '{name}'; {nearest(name, content)}")
    of_class = content[name]
    listed = of_class.get(kind) if isinstance(of_class, dict) else None
    if not isinstance(listed, list) or not all(isinstance(sentence, str) and sentence for sentence in listed):
        raise ConfigError(f"{file}: class '{name}' has no list of sentences under '{kind}'")
    if len(listed) < n:
        raise ConfigError(f"{file}: class '{name}' has {len(listed)} sentences under '{kind}', and {n} are read")
    return tuple(listed[:n])
