"""Which stage of the pipelines trains a row, as DVC names it on its command line.

DVC allows no dvc.yaml among the dependencies of a stage: after a stage has got another name, `dvc repro --force runs`
redraws the pages that show it.
"""

from __future__ import annotations

from pathlib import Path

from vidprism.config import ConfigError, nearest, yaml_file
from vidprism.config.rows import GROUPS


def pipeline(root: Path, group: str) -> Path:
    """The file that holds the training stages of a group of rows."""
    return root / "pipelines" / group / "dvc.yaml"


def training_stages(root: Path, profile: str) -> dict[str, str]:
    """The stages that train the rows of a profile, whether or not params.yaml chooses it.

    DVC itself fills the templates of `pipelines/<group>/dvc.yaml`, and a row is found by the command of its stage.

    Args:
        root: the folder of params.yaml.
        profile: its name.

    Returns:
        Group and key, for example `few_shot/vidprism_c`, -> address of the stage. Empty if `root` holds no pipelines,
        which is so where only results were copied.
    """
    from dvc.parsing import DataResolver  # imported here: DVC takes half a second to import
    from dvc.repo import Repo

    files = [path for path in (pipeline(root, group) for group in GROUPS) if path.is_file()]
    if not files:
        return {}
    values = yaml_file.read_yaml(root / "params.yaml")
    chosen = next(v for v in values.values() if isinstance(v, dict) and v.get("name") == profile)
    found = {}
    with Repo(str(root), uninitialized=True) as repo:
        for path in files:
            template = {**yaml_file.read_yaml(path), "vars": [{**values, "profile": chosen}]}
            resolved = DataResolver(repo, str(path.parent), template).resolve()
            for name, stage in resolved["stages"].items():
                given = dict(value.split("=", 1) for value in stage["cmd"].split() if "=" in value)
                found[f"{given['group']}/{given['row']}"] = f"{path.relative_to(root).as_posix()}:{name}"
    return found


def training_stage(stages: dict[str, str], profile: str, name: str) -> str:
    """The stage that trains a row, out of the result of `training_stages`.

    Raises:
        ConfigError: no stage trains such a row; names the nearest.
    """
    if name not in stages:
        raise ConfigError(f"profile '{profile}' trains no row '{name}'; {nearest(name, stages)}")
    return stages[name]
