"""Check params.yaml, and the data that nothing generates, before `dvc repro` touches anything.

    python -m tools.preflight [profile]

Prints one line and exits with 0, or with 1 at the first error.
"""

from __future__ import annotations

import sys

from vidprism import datasets, methods, paths
from vidprism.complexity import time_steps
from vidprism.config import Config, ConfigError, load_config
from vidprism.rows import GROUPS, rows


def check_options(config: Config) -> int:
    """Resolve the options of every row that the profile expects, and of every searched method; the number of rows.

    Raises:
        ConfigError: an unknown option, or a value that the method cannot take for its clips; names the row.
    """
    p = config.profile
    runs = [
        (f"{group}, row {r.key}", r.method, r.options, r.backbone, r.frames)
        for group in GROUPS
        for r in rows(config, group).values()
    ]
    searched = [
        (f"search of {m}", m, config.methods.get(m, {}), p.few_shot.backbone, p.search.frames)
        for ms in p.search.methods.values()
        for m in ms
    ]
    for where, method, options, backbone, frames in runs + searched:
        spec = p.backbones[backbone]
        try:
            methods.resolve(method, options, time_steps(spec.key, spec.model, frames))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    return len(runs)


def check_data(config: Config) -> None:
    """The official lists of every dataset, and every weights file, of a profile that does not generate them.

    Raises:
        DatasetError: a list or folder is missing or wrong; see `vidprism.datasets`.
        FileNotFoundError: the weights of a backbone are a path, and nothing is there.
    """
    p = config.profile
    for name in p.datasets:
        if name not in p.generate:
            datasets.load(name).list_videos(paths.dataset_root(config, name), p.protocol.split)
    for name, spec in p.backbones.items():
        # a tag of open_clip has neither a slash nor a dot
        is_path = "/" in spec.weights or "." in spec.weights
        off = name in p.few_shot.video.backbones and name not in p.few_shot.video.run
        made = name in (*p.pretrain, *p.pretrain_video)
        if is_path and not (made or off) and not (config.root_dir / spec.weights).exists():
            raise FileNotFoundError(
                f"params.yaml: no weights at {config.root_dir / spec.weights}; put them there or correct "
                f"{p.name}.backbones.{name}.weights"
            )


def main(profile: str | None = None) -> int:
    """Run all checks of a profile (None: the chosen one) and print one line; the exit status."""
    try:
        config = load_config(profile)
        n_rows = check_options(config)
        if not config.profile.generated:
            check_data(config)
    except (ValueError, OSError) as error:  # ConfigError and DatasetError are ValueErrors
        print("error:", " ".join(str(error).split()))
        return 1
    print(f"{config.profile.name}: {n_rows} rows in {len(GROUPS)} groups: parameters are sound")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
