"""All pages of a profile from made-up results, for tests that read them or open them in a browser."""

import shutil
from pathlib import Path

from tests.fake_results import REPO
from vidprism import paper, report
from vidprism.config import Config, paths
from vidprism.config.rows import GROUPS
from vidprism.records import log
from vidprism.report.render import render_page

LOG = [(step, {"loss/total": 3.0 / step, "experts/expert_1": 0.5, "lr": 0.01}) for step in (10, 20, 30)]


def write_fake_log(config: Config) -> None:
    """A log of one row: `vidprism_c` of few_shot."""
    log.write_log(paths.live(config, "few_shot", "vidprism_c"), {"hmdb51_k2": LOG, "ucf101_k2": LOG[:2]})


def copy_pictures(config: Config) -> None:
    """The committed pictures of the generated world."""
    listed = Path("reports") / "results" / config.profile.name / "pictures.json"
    shutil.copytree(REPO / "reports" / "pictures", config.root_dir / "reports" / "pictures")
    shutil.copyfile(REPO / listed, config.root_dir / listed)


def write_rehearsal(config: Config) -> None:
    """The page of a rehearsal, with one row that ran and one that was only built."""
    ran = {
        "group": "few_shot",
        "row": "mean_pool",
        "status": "rehearsed",
        "reason": "",
        "seconds": 3.0,
        "peak_mib": 900,
    }
    speed = {"train_videos_per_sec": 1.5, "eval_videos_per_sec": 2.5, "peak_device_mib": None}
    planned = {"group": "few_shot", "row": "vidprism_c", "backbone": "ViT-B-16", "frames": 32, "cells": "hmdb51 K=2"}
    built = {"status": "not run", "built": 9e7, "counted": 9e7, "agrees": True, "gmacs": 140.5}
    page = {"ran": [{**ran, **speed}], "planned": [{**planned, **built}], "title": "Rehearsal", "version": "0"}
    target = config.root_dir / "reports" / "tables" / config.profile.name / "rehearsal.html"
    file = target.relative_to(config.root_dir / "reports").as_posix()
    target.write_text(render_page("rehearsal", config, file, **page), encoding="utf-8")


def write_pages(config: Config) -> None:
    """Every page that the stages of a profile write."""
    for number in paper.TITLES:
        report.write_table(config, f"table{number}")
    for group in GROUPS:
        report.write_runs(config, group)
    report.write_readings(config)
    report.write_index(config)
    report.write_front(config)
