"""Train one row of a table, with everything that it needs.

    python -m tools.repro_one few_shot/vidprism_c

The row is named by its group and key. Its data, features and search run if they are out of date; other rows do not.
`dvc repro table` then evaluates and builds the tables.
"""

from __future__ import annotations

import subprocess
import sys

from vidprism.config import ConfigError, load_config
from vidprism.report.stages import training_stage, training_stages


def main(arguments: list[str]) -> int:
    """Exit status of `dvc repro`; 2 for a wrong call, 1 for an unknown row."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    config = load_config()
    try:
        stages = training_stages(config.root_dir, config.profile.name)
        stage = training_stage(stages, config.profile.name, arguments[0])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"dvc repro {stage}", flush=True)
    return subprocess.run([sys.executable, "-m", "dvc", "repro", stage], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
