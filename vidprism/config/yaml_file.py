"""Read YAML as DVC does: `3e-05` is a number, and a repeated key is an error.

PyYAML follows YAML 1.1: it reads `3e-05` as text and silently keeps the last of two equal keys. DVC follows YAML 1.2
and writes numbers in that form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from vidprism.config.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """The safe loader with the numbers of YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: invalid YAML, not a mapping, or a repeated key; names the lines.
    """
    loader = _Loader(path.read_text(encoding="utf-8"))
    try:
        document = loader.get_single_node()
        if not isinstance(document, yaml.MappingNode):
            raise ConfigError(f"{path.name} must be a mapping of keys to values")
        _refuse_twice(document, path.name)
        return loader.construct_document(document)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not valid YAML: {error}") from error
    finally:
        loader.dispose()


def _refuse_twice(document: yaml.Node, name: str) -> None:
    """Check every mapping of the document once; an alias points to the same node as its anchor."""
    seen, todo = set(), [document]
    while todo:
        node = todo.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in lines:
                raise ConfigError(
                    f"{name}: the key '{key.value}' is given twice, in line {lines[key.value]} and in line {line}; "
                    "only the last one would count, so remove or rename one"
                )
            lines[str(key.value)] = line
            todo.append(value)
