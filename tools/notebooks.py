"""Keep notebooks in the form that git and DVC expect: opening, running or saving a notebook must not change its file.

    python -m tools.notebooks            # bring every notebook into that form, and name those that changed

DVC hashes whole notebooks, so outputs, execution counts and metadata of an editor would make all its stages stale.
`make lab` strips them when Jupyter saves (`before_save`), and `tools.preflight` strips what another editor has saved.
The sources of the cells, their order and their tags stay unchanged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def strip(notebook: dict[str, Any]) -> None:
    """Remove in place what a run or an editor adds to a notebook (nbformat 4): outputs, counts, and metadata except
    tags.
    """
    notebook["metadata"] = nbformat.from_dict(METADATA)
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags")
        cell["metadata"] = nbformat.from_dict({"tags": tags} if tags else {})
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def before_save(model: dict[str, Any], **_: Any) -> None:
    """Jupyter's `pre_save_hook`: strip a notebook before it is written."""
    if model["type"] == "notebook" and model["content"]["nbformat"] == 4:
        strip(model["content"])


def clean(path: Path) -> bool:
    """Strip a notebook file, and return whether it changed. A clean file is not written.

    Raises:
        ValueError: the file is not a notebook; the message names it.
    """
    before = path.read_text(encoding="utf-8")
    try:
        parsed = json.loads(before)
    except ValueError as error:
        raise ValueError(f"{path} is not a notebook: {error}; replace it by an intact one") from error
    if not isinstance(parsed, dict) or parsed.get("nbformat") != 4 or "cells" not in parsed:
        raise ValueError(f"{path} is not a notebook of nbformat 4; replace it by an intact one")
    notebook = nbformat.reads(before, 4)
    strip(notebook)
    after = nbformat.writes(notebook) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def clean_all(root: Path) -> list[str]:
    """Strip the notebooks of the pipeline; the names of those that were not clean."""
    return [path.name for path in sorted((root / "notebooks").glob("*.ipynb")) if clean(path)]


if __name__ == "__main__":
    print("\n".join(clean_all(Path())) or "all notebooks are clean")
