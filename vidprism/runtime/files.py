"""Files that are written completely or not at all, and plain messages for failures of the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from safetensors import SafetensorError

from vidprism.runtime.errors import NotWritable


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Write a folder completely or not at all: yields a temporary folder beside `target` that replaces it at the end.

    If the block raises, the temporary folder is removed and `target` keeps its content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp makes it private to the user
        if target.exists():
            old = Path(mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.rename(old / "was")
            fresh.rename(target)
            rmtree(old)
        else:
            fresh.rename(target)
    finally:
        rmtree(fresh, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the disk inside the block into one that names `folder` and says what to do.

    Raises:
        NotWritable: a full disk, a folder without write permission.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors raises the latter on a full disk
        raise NotWritable(folder, error) from error
