"""Train one row of a table, with everything that it needs.

    python -m tools.repro_one few_shot/vidprism_c

The row is named by its group and key. Its data, features and search run if they are out of date; other rows do not.
`dvc repro table` then evaluates and builds the tables.
"""

from __future__ import annotations

import subprocess
import sys

from dvc.repo import Repo

from vidprism.config import ConfigError, load_config, nearest


def stage_of(commands: dict[str, str], profile: str, name: str) -> str:
    """The stage that trains a row.

    Args:
        commands: stage -> its command.
        name: group and key, for example `few_shot/vidprism_c`.

    Raises:
        ConfigError: no stage trains such a row; names the nearest.
    """
    trains = {}
    for stage, command in commands.items():
        notebook, *values = command.split()[3:]
        given = dict(value.split("=", 1) for value in values)
        if notebook == "train" and given["profile"] == profile:
            trains[f"{given['group']}/{given['row']}"] = stage
    if name not in trains:
        raise ConfigError(f"profile '{profile}' trains no row '{name}'; {nearest(name, trains)}")
    return trains[name]


def main(arguments: list[str]) -> int:
    """Exit status of `dvc repro`; 2 for a wrong call, 1 for an unknown row."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    config = load_config()
    try:
        commands = {stage.addressing: stage.cmd for stage in Repo().index.stages}
        stage = stage_of(commands, config.profile.name, arguments[0])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"dvc repro {stage}", flush=True)
    return subprocess.run([sys.executable, "-m", "dvc", "repro", stage], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
