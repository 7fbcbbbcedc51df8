"""Read official lists: text, CSV, files with several possible names, and classes that can be told apart. All datasets
use it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vidprism.datasets import _names as names


class DatasetError(ValueError):
    """A dataset is missing, incomplete or contradictory; the message says where, and what to do."""


class MissingError(DatasetError):
    """A file or folder of the official layout does not exist."""


def require(path: Path, name: str, what: str) -> Path:
    """`path`, if it exists.

    Args:
        path: a file or folder of the official layout.
        name: display name of the dataset.
        what: what belongs there, for the message.

    Raises:
        MissingError: nothing is there.
    """
    if not path.exists():
        raise MissingError(f"{name}: '{path}' does not exist; put {what} there (the layout is drawn in data/README.md)")
    return path


def one_of(folder: Path, file_names: Sequence[str], dataset: str, what: str) -> Path:
    """The file of a list that has several possible names.

    Raises:
        MissingError: none is there.
        DatasetError: more than one is there.
    """
    found = [name for name in file_names if (folder / name).is_file()]
    if len(found) > 1:
        raise DatasetError(
            f"{dataset}: '{folder}' holds both {' and '.join(found)}, two names of one list; remove "
            "the file that does not belong to these videos"
        )
    also = f" (or {', '.join(file_names[1:])})" if len(file_names) > 1 else ""
    return require(folder / (found or file_names)[0], dataset, what + also)


def read_text(path: Path) -> str:
    """The text of a list.

    Raises:
        DatasetError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"'{path}' is not UTF-8 text (byte {error.start}); fetch it again, or save it as UTF-8"
        ) from error


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text list without surrounding blanks, each with its number; empty lines are left out.

    Raises:
        DatasetError: it is not UTF-8.
    """
    stripped = ((number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1))
    return [(number, line) for number, line in stripped if line]


def last_word(line: str) -> tuple[str, str]:
    """Split a line of a list into a name, which may contain blanks, and the last word, separated by any blanks or tabs.
    The name is "" if there is only one word.
    """
    *name, word = line.rsplit(maxsplit=1)
    return "".join(name), word


def numbered_rows(path: Path, name: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV list with a heading, each with the number of its (last) line. Blanks around column names and
    values are removed.

    Args:
        path: the list.
        name: display name of the dataset.
        columns: what every row must have a value for.

    Raises:
        DatasetError: it is not UTF-8 or not CSV; a column or a value is missing, a column is there twice, or a line has
            more values than the heading; names the line.
    """
    reader = csv.reader(io.StringIO(read_text(path)))
    try:
        lines = [(reader.line_num, [value.strip() for value in values]) for values in reader if any(values)]
    except csv.Error as error:
        raise DatasetError(
            f"{name}: '{path}', line {reader.line_num}: not valid CSV ({error}); fetch it again"
        ) from error
    heading = lines[0][1] if lines else []
    _check_heading(path, name, columns, heading)
    rows = []
    for number, values in lines[1:]:
        row = dict(zip(heading, [*values, *[""] * len(heading)], strict=False))
        empty = [column for column in columns if not row[column]]
        if empty:
            raise DatasetError(
                f"{name}: '{path}', line {number}: no {' and no '.join(empty)}; the line is cut off or wrong, every "
                f"video needs {', '.join(columns)}"
            )
        if any(values[len(heading) :]):
            raise DatasetError(
                f"{name}: '{path}', line {number}: {len(values)} values for {len(heading)} columns; put a value that "
                "holds a comma in double quotes"
            )
        rows.append((number, row))
    return rows


def _check_heading(path: Path, name: str, columns: Sequence[str], heading: list[str]) -> None:
    missing = [column for column in columns if column not in heading]
    if missing:
        there = f"it has {', '.join(map(repr, heading))}" if heading else "it is empty"
        raise DatasetError(
            f"{name}: '{path}' lacks the column {', '.join(missing)}; its first line must name {', '.join(columns)}, "
            f"and {there}{names.hint(missing[0], heading)}"
        )
    twice = [column for column, n in Counter(heading).items() if n > 1 and column]
    if twice:
        raise DatasetError(f"{name}: '{path}' has the column '{twice[0]}' twice; remove or rename one")


@contextmanager
def located(name: str, path: Path, number: int, unit: str = "line") -> Iterator[None]:
    """Add to a DatasetError which line (or entry) of which list it is about."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"{name}: '{path}', {unit} {number}: {error}") from error


def check_classes(dataset: str, class_names: Iterable[str], class_text: Callable[[str], str]) -> list[str]:
    """Check that no two class names are the same to a reader or to a text encoder, and return them.

    Args:
        dataset: display name of the dataset.
        class_names: in the order of the labels.
        class_text: the class as words for a prompt.

    Raises:
        DatasetError: two classes differ in case, blanks, invisible characters or Unicode form only, or have the
            same text, or a class has no text; names both.
    """
    class_names = list(class_names)
    pair = names.alike(class_names)
    if pair:
        how = f"differ only in {names.difference(*pair)}" if pair[0] != pair[1] else "are the same"
        raise DatasetError(
            f"{dataset}: the classes {pair[0]!r} and {pair[1]!r} {how} and would count as two; give them one spelling "
            "in the lists, or names that differ"
        )
    by_text: dict[str, str] = {}
    for name in class_names:
        text = class_text(name)
        if not text.strip() or text in by_text:
            what = f"{by_text[text]!r} and {name!r} have the same text" if text in by_text else f"{name!r} has no text"
            raise DatasetError(f"{dataset}: of the classes, {what} ({text!r}) in prompts; rename one")
        by_text[text] = name
    return class_names
