"""Where everything lies, relative to the folder of params.yaml. The profile's name is part of every path."""

from __future__ import annotations

from pathlib import Path

from vidprism.config import Config


def dataset_root(config: Config, dataset: str) -> Path:
    """Folder with `annotations/` (the official lists as unpacked) and `videos/` (the official tree)."""
    return config.root_dir / config.profile.root / dataset


def manifest(config: Config, dataset: str) -> Path:
    """Folder of manifest.csv, draws.json, checks.json and opposites.json."""
    return config.root_dir / "data" / "manifests" / config.profile.name / dataset


def listed(config: Config, name: str) -> Path:
    """A list supplied by the user (K shots, or a common subset of test videos)."""
    return config.root_dir / "data" / "lists" / name


def video_checks(config: Config, dataset: str) -> Path:
    """Table of facts about each video file (CSV). It is not an output of a stage, so that a rerun finds earlier
    results.
    """
    return config.root_dir / "data" / "probes" / config.profile.name / f"{dataset}.csv"


def frames(config: Config, dataset: str) -> Path:
    """Folder of the frame cache of one dataset. It is not an output of a stage (see docs/speed.md)."""
    return config.root_dir / "data" / "frames" / config.profile.name / dataset


def features(config: Config, dataset: str, backbone: str) -> Path:
    """Folder of the cached features of one dataset, from one backbone."""
    return config.root_dir / "data" / "features" / config.profile.name / backbone / dataset


def run(config: Config, group: str, row: str) -> Path:
    """Folder of one row's weights, scores and record."""
    return config.root_dir / "data" / "runs" / config.profile.name / group / row


def work(config: Config, group: str, row: str) -> Path:
    """Folder of the finished cells of a row that is still training. It is not an output of a stage, so that a rerun
    finds them.
    """
    return config.root_dir / "data" / "work" / config.profile.name / group / row


def texts(config: Config) -> Path:
    """Folder of the class texts encoded for the tuned track; files are named by a hash of their inputs."""
    return config.root_dir / "data" / "text" / config.profile.name


def backbone(config: Config, name: str) -> str:
    """Resolve `weights` of a backbone: a path below the root if it exists there or starts with data/, else a tag."""
    weights = config.profile.backbones[name].weights
    local = config.root_dir / weights
    return str(local) if local.exists() or weights.startswith("data/") else weights


def pretrained(config: Config, name: str) -> Path:
    """Folder of a backbone that the profile pre-trains: its weights and the report of its training."""
    return config.root_dir / "data" / "backbones" / config.profile.name / name


def search(config: Config, method: str, backbone: str, track: str = "") -> Path:
    """The record of a method's search on the dev pool. All image backbones share one search, made on the profile's
    first backbone. A video encoder and a backbone of single rows have their own (`<method>-<backbone>`), and so does a
    track other than the profile's (`<method>-<track>`).
    """
    few_shot = config.profile.few_shot
    own = backbone in (*few_shot.video.backbones, *(row.backbone for row in few_shot.single))
    name = f"{method}-{backbone}" if own else method
    if track not in ("", config.profile.protocol.track):
        name += f"-{track}"
    return config.root_dir / "reports" / "search" / config.profile.name / f"{name}.json"


def live(config: Config, group: str, row: str) -> Path:
    """Folder of a row's log, written during and after training (`vidprism.records.log`)."""
    return config.root_dir / "data" / "live" / config.profile.name / group / row


def run_pages(config: Config, group: str) -> Path:
    """Folder with a page for each run of a group of rows (in git)."""
    return config.root_dir / "reports" / "runs" / config.profile.name / group


def results(config: Config, group: str, profile: str = "") -> Path:
    """What the results of one group of rows come to (in git, a DVC metric); of another profile if it is named."""
    return config.root_dir / "reports" / "results" / (profile or config.profile.name) / f"{group}.json"


def row_results(config: Config, group: str, row: str, profile: str = "") -> Path:
    """The results of one row (in git); of another profile if it is named."""
    return results(config, group, profile).with_suffix("") / f"{row}.json"


def pictures(config: Config) -> Path:
    """Folder with strips of frames of generated videos (in git); `results(config, "pictures")` lists them."""
    return config.root_dir / "reports" / "pictures" / config.profile.name


def front(config: Config) -> Path:
    """The page that links the profiles that have results (in git)."""
    return config.root_dir / "reports" / "index.html"


def tables(config: Config) -> Path:
    """Folder of the profile's table1..5.html and .csv and readings.html (in git)."""
    return config.root_dir / "reports" / "tables" / config.profile.name


def overview(config: Config) -> Path:
    """Folder of the profile's index.html and trust.html (in git)."""
    return config.root_dir / "reports" / "overview" / config.profile.name


def speed(config: Config, group: str, row: str) -> Path:
    """Videos per second of a row on the tuned track, beside the wall times of the stages."""
    return timings(config) / f"speed-{group}-{row}.json"


def timings(config: Config) -> Path:
    """Folder with the wall times of the stages; not in git, because they change from run to run."""
    return config.root_dir / "reports" / "timings" / config.profile.name
