"""All pages of a profile from made-up results, for tests that read them or open them in a browser."""

import shutil
from pathlib import Path

from tests.fake_results import REPO
from vidprism import paper, report
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS
from vidprism.records import log

LOG = [(step, {"loss/total": 3.0 / step, "experts/expert_1": 0.5, "lr": 0.01}) for step in (10, 20, 30)]


def write_fake_log(config: Config) -> None:
    """A log of one row: `vidprism_c` of few_shot."""
    log.write_log(paths.live(config, "few_shot", "vidprism_c"), {"hmdb51_k2": LOG, "ucf101_k2": LOG[:2]})


def copy_pictures(config: Config) -> None:
    """The committed pictures of the generated world."""
    listed = Path("reports") / "results" / config.profile.name / "pictures.json"
    shutil.copytree(REPO / "reports" / "pictures", config.root_dir / "reports" / "pictures")
    shutil.copyfile(REPO / listed, config.root_dir / listed)


def write_pages(config: Config) -> None:
    """Every page that the stages of a profile write."""
    for number in paper.TITLES:
        report.write_table(config, f"table{number}")
    for group in GROUPS:
        report.write_runs(config, group)
    report.write_readings(config)
    report.write_index(config)
    report.write_front(config)
