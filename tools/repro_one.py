"""Train one row of a table, with everything that it needs.

    python -m tools.repro_one few_shot/vidprism_c
    python -m tools.repro_one few_shot/st_adapter full

The row is named by its group and key. Its data, features and search run if they are out of date; other rows do not.
`dvc repro table` then evaluates and builds the tables. A row of another profile than the chosen one, the second
argument, is evaluated at once, and its results file is named: that file is what goes into git, and
`python -m tools.merge_rows` adds it on another machine. params.yaml and the dvc.lock files stay as they are.
"""

from __future__ import annotations

import subprocess
import sys

from tools import locks, with_profile
from vidprism.config import ConfigError, load_config, paths
from vidprism.report.stages import training_stage, training_stages


def main(arguments: list[str]) -> int:
    """Exit status of the commands; 2 for a wrong call, 1 for an unknown row."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    name, *others = arguments
    chosen = load_config().profile.name
    profile = others[0] if others else chosen
    try:
        config = load_config(profile)
        stages = training_stages(config.root_dir, profile)
        stage = training_stage(stages, profile, name)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"dvc repro {stage}", flush=True)
    repro = (sys.executable, "-m", "dvc", "repro", stage)
    if profile == chosen:
        return subprocess.run(repro, check=False).returncode
    with locks.without_entries_of(profile):
        status = with_profile.main(profile, *repro)
    group, row = name.split("/")
    evaluation = (sys.executable, "-m", "vidprism.execute", "evaluate")
    given = (f"profile={profile}", f"group={group}", f"row={row}")
    status = status or subprocess.run((*evaluation, *given), check=False).returncode
    if not status:
        print(paths.row_results(config, group, row).relative_to(config.root_dir))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
