"""Run `dvc exp run` after checking that every value that `-S` sets reaches the chosen profile.

    python -m tools.experiment -S profile.train.weight_decay=0.1 [--queue and other options of `dvc exp run`]

DVC merges the params.yaml that Hydra produces back into the file. In it, `profile` is an alias, so the two names share
their mappings: a key that is appended (`+profile...`) is removed again through the other name, and a key that is set
through the anchor (`mini...`) is overwritten. DVC reports neither. This command applies `-S` to a copy with DVC's own
function, looks for each value, and checks the parameters as `python -m tools.preflight` does. Nothing starts if one of
these checks fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils import hydra
from dvc.utils.cli_parse import to_path_overrides
from hydra.errors import HydraException

from tools import preflight
from vidprism.config import ConfigError, find_root, load_config, yaml_file

FILE = "params.yaml"
REACHED = ("profile", "methods", "seed")  # the sections of params.yaml that the chosen profile uses
_NOTHING = object()


def check(root: Path, settings: Iterable[str]) -> int:
    """Try what `-S` sets on copies of params.yaml, one for each combination of a sweep (`-S key=1,2`), and return their
    number.

    Args:
        root: folder of params.yaml.
        settings: the argument of each `-S`, for example `profile.train.updates=50`.

    Raises:
        ConfigError: a value would not arrive, its key does not exist, or the parameters are invalid with it.
    """
    try:
        sweeps = hydra.get_hydra_sweeps(to_path_overrides(settings))
        for overrides in sweeps:
            if overrides.keys() - {FILE}:
                raise ConfigError(f"`-S` may change only {FILE}, not {', '.join(overrides.keys() - {FILE})}")
            _try(root, list(overrides.get(FILE, ())))
    except (DvcException, HydraException) as error:
        reason = f": {error.__cause__}" if error.__cause__ else ""
        raise ConfigError(f"{error}{reason}") from error
    return len(sweeps)


def _try(root: Path, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / FILE
        copy.write_bytes((root / FILE).read_bytes())
        hydra.apply_overrides(copy, overrides)
        found = yaml_file.read_yaml(copy)
        for override in hydra.to_hydra_overrides(overrides):
            key = override.key_or_group
            if key.split(".")[0] not in REACHED:
                raise ConfigError(
                    f"'{override.input_line}' would change nothing in the chosen profile: name its keys through "
                    "`profile.`, for example profile.train.updates"
                )
            wanted = _NOTHING if override.is_delete() else override.value()
            if _at(found, key) != wanted:
                todo = "remove it from" if override.is_delete() else "write it into"
                raise ConfigError(
                    f"'{override.input_line}' would be lost: DVC cannot add or remove a key of a mapping that has "
                    f"several names, as `profile` has; {todo} {FILE} by hand, commit, and set what stands there"
                )
        preflight.check_options(load_config(root=Path(folder)))


def _at(mapping: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(mapping, dict) or part not in mapping:
            return _NOTHING
        mapping = mapping[part]
    return mapping


def main(*arguments: str) -> int:
    """Check, then pass all arguments to `dvc exp run`. Returns its exit status, or 1 if nothing was started."""
    parser = argparse.ArgumentParser(prog="python -m tools.experiment", add_help=False, allow_abbrev=False)
    parser.add_argument("-S", "--set-param", action="append", default=[])
    settings = parser.parse_known_args(arguments)[0].set_param
    try:
        check(find_root(), settings)
    except ConfigError as error:
        print("error:", " ".join(str(error).split()))
        return 1
    return subprocess.run([sys.executable, "-m", "dvc", "exp", "run", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
