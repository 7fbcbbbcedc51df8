"""Write docs/gpu.md from the committed reports and predictions: ``python -m tools.gpu_check.page``."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import jinja2

from tools.gpu_check import memory
from tools.gpu_check.lines import FAILED, GOAL, LOW_GOAL, MEASURED, RIGHT, SKIPPED, Line, wrong
from tools.gpu_check.memory import Prediction
from tools.gpu_check.speed import peak_of
from vidprism.config import load_config

ROOT = Path(__file__).resolve().parents[2]
REPORTS, PAGE = ROOT / "reports" / "gpu", ROOT / "docs" / "gpu.md"


@dataclass(frozen=True)
class Report:
    """The content of one report (JSON). `facts` are the machine, the versions and the date."""

    facts: dict[str, object]
    lines: list[Line]

    def of_kind(self, *kinds: str) -> list[Line]:
        """Lines of some kinds, in the order in which they were written."""
        return [line for line in self.lines if line.kind in kinds]

    @property
    def checks(self) -> list[tuple[str, int, int, float]]:
        """For every part with bounds: its name, how many of them hold, how many there are, and the largest value
        relative to its bound.
        """
        found: dict[str, list[Line]] = {}
        for line in self.of_kind(RIGHT):
            found.setdefault(line.part, []).append(line)
        return [(part, sum(bool(x.holds) for x in of), len(of), max(map(_share, of))) for part, of in found.items()]

    @property
    def wrong(self) -> list[Line]:
        """The lines for which the check failed."""
        return wrong(self.lines)

    def measured(self, what: str) -> float | None:
        """The value of a line, None if there is no such line."""
        return next((line.value for line in self.lines if line.what == what), None)


def _share(line: Line) -> float:
    if line.value is None or not line.bound:  # NaN, or an equality
        return 0.0 if line.holds else math.inf
    return line.value / line.bound


def read_reports(folder: Path) -> list[Report]:
    """All reports of a folder, by file name."""
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "lines" in content:
            lines = [Line(**entry) for entry in content.pop("lines")]
            found.append(Report(content, lines))
    return found


def beside(prediction: Prediction, reports: list[Report]) -> str:
    """The measured memory of trainings whose memory was predicted."""
    what = peak_of(prediction.backbone, prediction.frames, prediction.checkpointing, prediction.clips)
    values = [(report.measured(what), report.facts["device"]) for report in reports]
    return ", ".join(f"{value:.1f} ({device})" for value, device in values if value) or "not measured"


def number(value: float | None) -> str:
    """A number with three digits."""
    if value is None:
        return "not a number"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def render(reports: list[Report], predictions: list[Prediction], most_gb: float) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters["number"] = number
    kinds = {"MEASURED": (MEASURED,), "GOALS": (GOAL, LOW_GOAL), "NOT": (SKIPPED, FAILED), "LOW_GOAL": LOW_GOAL}
    page = environment.get_template("gpu.md.j2")
    return page.render(reports=reports, predictions=predictions, beside=beside, most_gb=most_gb, **kinds)


def current() -> str:
    """The page for the committed reports."""
    predictions = memory.read()
    own = memory.at_settings(load_config("paper", ROOT), predictions)
    return render(read_reports(REPORTS), predictions, max(p.peak_gb + p.others_gb for p in own))


def main() -> None:
    """Write the page."""
    PAGE.write_text(current(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
