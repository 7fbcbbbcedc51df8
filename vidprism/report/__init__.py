"""From tables to pages: self-contained HTML that opens from disk and requests nothing.

The same inputs give the same bytes: no page holds a date, and wall times stay in files outside git that the pages link
to. Each page shows a report version, a hash of its inputs: results, published numbers, profile and the code of the
report.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidprism import paper
from vidprism.config import Config, paths
from vidprism.evaluation import results
from vidprism.report import panels as provenance
from vidprism.report import tables
from vidprism.report.render import render_page
from vidprism.report.tables import ablations, families
from vidprism.report.tables.layout import Block
from vidprism.report.tables.setting import GROUP_OF_TABLE, setting

PACKAGE = Path(__file__).resolve().parents[1]
KINDS = ("*.py", "*.j2", "*.css", "*.js")  # files of code
CODE = ("complexity", "report", "records", "evaluation/results.py", "evaluation/stats.py")  # what pages are made by


def write_table(config: Config, table: str | int) -> Path:
    """Write ``tables/<profile>/table<number>.html`` and its CSV twin.

    Args:
        table: the number, 1 to 5, or its name in params.yaml, `table1` to `table5`.

    Returns:
        The HTML file.

    Raises:
        ValueError: the paper has no such table.
        ResultsError: a results file that cannot be read.
    """
    number = paper.table_number(table)
    filled = tables.build_table(config, number)
    target = paths.tables(config) / f"table{number}.html"
    version = report_version(config, [paths.results(config, GROUP_OF_TABLE[number]), paper.table_path(number)])
    panels = provenance.panels(config.profile, filled.lines)
    _write(target.with_suffix(".csv"), tables.to_csv(filled))
    title = f"Table {number}"
    _write_page(config, target, "table", version=version, table=filled, panels=panels, title=title)
    return target


def write_readings(config: Config) -> Path:
    """Write ``tables/<profile>/readings.html``: the paper's text compared with its released code, switch by switch.

    Returns:
        The HTML file.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    from vidprism.report import readings_page  # imported here: only this page reads the model's list of switches

    page = readings_page.build_readings(config)
    shown = Block("", (), ablations.columns(config), (), page.lines)
    target = paths.tables(config) / "readings.html"
    version = report_version(
        config,
        [paths.results(config, group) for group in ("ablations", "closed_set", "few_shot")]
        + [PACKAGE / "model" / "readings.py"],
    )
    context = {
        "page": page,
        "not_measured": paper.release_only(),
        "choices": paper.choices(),
        "setting": (*setting(config, 3), ("Draws and groups", families.sampled([shown]))),
    }
    _write_page(config, target, "readings", version=version, title="Readings", **context)
    return target


def write_runs(config: Config, group: str) -> list[Path]:
    """Write ``runs/<profile>/<group>/<row>.html`` of every measured row: what was trained, its log as curves, where its
    numbers come from, and the stage that trains it.

    Returns:
        The HTML files.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    from vidprism.report import run_pages, stages  # imported here: only these pages read the logs and the pipelines

    folder, targets = paths.run_pages(config, group), []
    folder.mkdir(parents=True, exist_ok=True)
    trained_by = stages.training_stages(config.root_dir, config.profile.name)
    pipeline = stages.pipeline(config.root_dir, group)
    for run in run_pages.build_run_page(config, group, results.load_results(config, group).values()):
        log = paths.live(config, group, run.key)
        version = report_version(config, [paths.results(config, group), pipeline, *sorted(log.rglob("*.tsv"))])
        targets.append(folder / f"{run.key}.html")
        stage = trained_by.get(f"{group}/{run.key}", "")
        context = {"run": run, "stage": stage, "log": log.relative_to(config.root_dir).as_posix(), "title": run.key}
        _write_page(config, targets[-1], "run", version=version, **context)
    return targets


def write_index(config: Config) -> list[Path]:
    """Write ``overview/<profile>/index.html``, which says what was found, ``cells.html``, which shows VidPrism against
    each other method in every cell, and ``trust.html``, which says what the numbers rest on.

    Returns:
        The HTML files.

    Raises:
        ResultsError: a results file or a picture that cannot be read.
    """
    from vidprism.report.overview import contests, found, limits, trust  # imported here: they read all results

    built = [tables.build_table(config, paper.table_number(name)) for name in config.profile.tables]
    matches, rests_on = contests.find_contests(config), trust.build_trust(config)
    page = found.build_found(config, matches, rests_on, built)
    lines = [line for table in built if table.number == 2 for line in table.lines]
    doubts = limits.limits(config.profile, rests_on, matches, lines)
    version = report_version(config, found.found_inputs(config))
    contexts = {
        "index": {"page": page, "title": "Results"},
        "cells": {"page": page, "title": "Cell by cell"},
        "trust": {"page": rests_on, "limits": doubts, "title": "Data and trust"},
    }
    for name, context in contexts.items():
        _write_page(config, paths.overview(config) / f"{name}.html", name, version=version, **context)
    return [paths.overview(config) / f"{name}.html" for name in contexts]


def write_front(config: Config) -> Path:
    """Write ``index.html``, which links the profiles that `published` names and that have results. It does not depend
    on the chosen profile.

    Returns:
        The HTML file.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    from vidprism.report.overview import front

    target, profiles = paths.front(config), front.published_profiles(config)
    _write(target, render_page("front", None, target.name, profiles=profiles, title="Profiles"))
    return target


def report_version(config: Config, inputs: list[Path]) -> str:
    """First 12 hex digits of the sha256 over the existing inputs, the profile (without its note, which affects no
    number), and the report's code and templates.
    """
    code = sorted(file for name in CODE for file in code_files(PACKAGE / name))
    digest = hashlib.sha256(repr((replace(config.profile, note=""), sorted(config.methods.items()))).encode())
    for path in [*inputs, *code]:
        content = path.read_bytes() if path.is_file() else b"absent"
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def code_files(path: Path) -> list[Path]:
    """The modules and templates of a folder and its subfolders, or the file itself.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [path] if path.is_file() else [file for kind in KINDS for file in path.rglob(kind)]
    if not found:
        raise FileNotFoundError(f"no code of the report at {path}")
    return found


def _write_page(config: Config, target: Path, template: str, **context: Any) -> None:
    file = target.relative_to(config.root_dir / "reports").as_posix()
    _write(target, render_page(template, config, file, **context))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
