"""Run one notebook of ``notebooks/`` through Papermill, as every stage of the pipeline does.

    python -m vidprism.execute train group=few_shot row=mean_pool profile=mini

The cells run inside this process (`vidprism.runtime.engine`). The terminal shows how far the stage is.
"""

from __future__ import annotations

import sys

# jsonschema imports this optional package if it is installed: two seconds per stage for a format that is unused here.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import json  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import nbformat  # noqa: E402
import papermill  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402

from vidprism.config import ConfigError, find_root, nearest  # noqa: E402
from vidprism.runtime import engine, interruption, progress, provenance  # noqa: E402


class StageError(RuntimeError):
    """A notebook cell raised; the message holds the error and the path of the executed copy."""


ENGINE = {"engine_name": engine.NAME, "kernel_name": "python3", "language": "python", "progress_bar": False}


def execute(notebook: str, parameters: dict[str, str], root: Path | None = None) -> Path:
    """Execute ``notebooks/<notebook>.ipynb`` with the given parameters, from the root of the clone.

    Args:
        notebook: file stem.
        parameters: values as text; each is converted to the type of its default in the `parameters` cell.
        root: folder of params.yaml; None searches upwards.

    Returns:
        The executed copy under reports/notebooks/ (kept also when a cell fails).

    Raises:
        ConfigError: no such notebook or parameter.
        StageError: a cell raised; the message is that exception's.
        Interrupted: the stage was told to stop, and kept its work.
    """
    root = root or find_root()
    known = sorted(p.stem for p in (root / "notebooks").glob("*.ipynb"))
    if notebook not in known:
        raise ConfigError(f"no notebook named '{notebook}'; {nearest(notebook, known)}")
    source = root / "notebooks" / f"{notebook}.ipynb"
    values = typed_parameters(source, parameters)
    profile = str(values.get("profile", "none"))
    label = "-".join([notebook, *(str(v) for k, v in values.items() if k != "profile" and v != "")])
    target = root / "reports" / "notebooks" / profile / f"{label}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    try:
        with progress.stage(" ".join([notebook, *(f"{v}" for k, v in values.items() if k != "profile" and v != "")])):
            papermill.execute_notebook(str(source), str(target), parameters=values, **ENGINE, cwd=str(root))
    except PapermillExecutionError as error:
        where = target.relative_to(root)
        if error.ename == interruption.Interrupted.__name__:
            raise interruption.Interrupted(error.evalue) from error
        raise StageError(f"{error.ename}: {error.evalue}\nthe traceback is in {where}") from error
    _write_timing(root / "reports" / "timings" / profile / f"{label}.json", start, root)
    return target


def typed_parameters(source: Path, parameters: dict[str, str]) -> dict[str, Any]:
    """The defaults of a notebook's `parameters` cell, overridden by text values converted to the defaults' types.

    Raises:
        ConfigError: a parameter that the notebook does not have, or a value of another type.
    """
    cells = [c for c in nbformat.read(source, 4).cells if "parameters" in c.metadata.get("tags", [])]
    defaults: dict[str, Any] = {}
    for cell in cells:
        exec(compile(cell.source, str(source), "exec"), {}, defaults)  # a notebook of the suite, with plain assignments
    for key, text in parameters.items():
        if key not in defaults:
            raise ConfigError(f"{source.name} has no parameter '{key}'; {nearest(key, defaults)}")
        try:
            defaults[key] = type(defaults[key])(text)
        except ValueError as error:
            raise ConfigError(f"{source.name}: {key}={text!r} is not {type(defaults[key]).__name__}") from error
    return defaults


def _write_timing(path: Path, start: float, root: Path) -> None:
    """Write wall time, peak memory and loaded modules of a stage. The file is not in git, because it changes from run
    to run.
    """
    modules = [
        f.relative_to(root.resolve()).as_posix() for f in provenance.loaded_files() if f.is_relative_to(root.resolve())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    peak_kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    record = {
        "seconds": round(time.perf_counter() - start, 2),
        "peak_mib": peak_kib // 1024,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "modules": modules,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _restore_reports() -> None:
    """DVC deletes the outputs of a stage before it runs. After a failure, restore the committed reports from git."""
    root = find_root()
    listed = ["git", "ls-files", "--deleted", "-z", "--", "reports"]
    found = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=False).stdout
    gone = [name for name in found.split("\0") if name]
    if gone:
        subprocess.run(["git", "checkout", "--quiet", "--", *gone], cwd=root, check=False)
        print(
            f"put back from git: {', '.join(gone)}; `dvc checkout` brings back data/ of the last run", file=sys.stderr
        )


def main(arguments: list[str]) -> int:
    """``NOTEBOOK KEY=VALUE ...``. A failure prints one line that says what is wrong and exits with status 1; a stage
    that was told to stop and can continue later exits with `interruption.STATUS`.
    """
    if not arguments or any("=" not in a for a in arguments[1:]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        execute(arguments[0], dict(a.split("=", 1) for a in arguments[1:]))
    except interruption.Interrupted as stop:
        print(f"{' '.join(arguments)}: {stop}; `dvc repro` continues from there", file=sys.stderr)
        _restore_reports()
        return interruption.STATUS
    except (ConfigError, StageError) as error:
        print(f"error in {' '.join(arguments)}: {error}", file=sys.stderr)
        _restore_reports()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
