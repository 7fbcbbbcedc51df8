"""The command line: run every part with its own process and time limit, and write the report."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import re
import sys
import time
from concurrent.futures import Future, TimeoutError
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # set before anything imports tqdm

import torch
from pebble import ProcessExpired, ProcessPool

from tools.gpu_check import models, parts
from tools.gpu_check.lines import GOAL, LOW_GOAL, RIGHT, Line, Lines, read, wrong
from tools.gpu_check.parts import Part
from vidprism.runtime import provenance

LINES = "lines.jsonl"
BESIDE = 4  # number of simultaneous parts, among those that measure no time
LEAST_SEC = 5  # a part is not started with less time than this
PACKAGES = ("torchvision", "transformers", "accelerate", "timm", "open_clip_torch", "av", "decord")


def main(arguments: list[str]) -> int:
    """Exit status: 0 if everything is right (a goal of speed may be missed), 1 if not, 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check", description="Check the suite on a GPU.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the lines and the report")
    parser.add_argument("--minutes", type=float, default=8.0, help="after so many minutes no part runs any more")
    parser.add_argument("--toy", action="store_true", help="tiny models, on whatever device there is")
    parser.add_argument("--only", default="", help="parts whose name contains this")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not given.toy:
        print("error: this machine has no GPU that PyTorch can use; --toy checks the check itself", file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / LINES
    path.unlink(missing_ok=True)
    size = models.TOY if given.toy else models.FULL
    chosen = [part for part in parts.parts(size) if given.only in part.name]
    start = time.monotonic()
    run_all(chosen, given.toy, path, start + 60 * given.minutes)
    found = read(path)
    report = {**environment(), "toy": given.toy, "seconds": round(time.monotonic() - start)}
    target = given.out / (slug(f"{report['device']} {given.only}") + ".json")
    target.write_text(as_json(report, found), encoding="utf-8")
    summary(found)
    print(f"{report['seconds']} s; the report is {target}")
    return 1 if wrong(found) else 0


def run_all(chosen: list[Part], toy: bool, path: Path, deadline: float) -> None:
    """Run parts that measure no time several at once, then the others one after the other, until the deadline."""
    cores = os.cpu_count() or 1
    together = [part for part in chosen if part.beside]
    at_once = min(BESIDE, cores)
    # the references of the largest model keep the cores busy longest, after the other parts
    _run(together, toy, path, deadline, at_once, max(1, cores // 2))
    _run([part for part in chosen if not part.beside], toy, path, deadline, 1, cores)


def _run(chosen: list[Part], toy: bool, path: Path, deadline: float, at_once: int, threads: int) -> None:
    """Run each part in a fresh process, forked from a server that has imported everything and used no GPU."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tools.gpu_check.parts"])
    waiting = list(chosen)
    with ProcessPool(at_once, max_tasks=1, context=context) as pool:
        running: dict[Future, tuple[Part, float]] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                part = waiting.pop(0)
                limit_sec = min(part.limit_sec, deadline - time.monotonic())
                if limit_sec < LEAST_SEC:
                    Lines(part.name, path).skipped("the whole part", "no time was left")
                    continue
                print(f"{part.name} ...", flush=True)
                job = pool.schedule(parts.run, [part.name, toy, path, threads], timeout=limit_sec)
                running[job] = part, limit_sec
            for job in [job for job in running if job.done()]:
                _ended(job, *running.pop(job), path)
            time.sleep(0.05)


def _ended(job: Future, part: Part, limit_sec: float, path: Path) -> None:
    """A line about a part that ended with an error."""
    try:
        job.result()
    except TimeoutError:
        Lines(part.name, path).skipped("the rest of the part", f"its {limit_sec:.0f} s were over")
    except ProcessExpired as error:
        Lines(part.name, path).failed("the rest of the part", f"its process ended with status {error.exitcode}")
    except Exception as error:  # an error of the part: it belongs in the report, and the other parts still run
        Lines(part.name, path).failed("the rest of the part", f"{type(error).__name__}: {error}")


def environment() -> dict[str, object]:
    """The machine, the versions and the date of a report; no host names and no paths."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    on_gpu = torch.cuda.is_available()
    found = provenance.environment(models.device())
    return {
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU {found['cpu']}",
        "memory_gib": round(torch.cuda.mem_get_info()[1] / 2**30, 1) if on_gpu else None,
        "cuda": torch.version.cuda if on_gpu else None,
        "date": datetime.now(UTC).date().isoformat(),
        "code": provenance.package_version(),
        **{name: found[name] for name in ("python", "torch", "numpy", "system", "cpu", "cores")},
        **versions,
    }


def slug(device: str) -> str:
    """A device's name as a file name."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def as_json(report: dict[str, object], found: list[Line]) -> str:
    """The report, with one line per measurement."""
    head = json.dumps(report, indent=1)[:-2]
    rows = ",\n  ".join(json.dumps(asdict(line)) for line in found)
    return f'{head},\n "lines": [\n  {rows}\n ]\n}}\n'


def summary(found: list[Line]) -> None:
    """Print what is wrong, the goals, and the number of correct results."""
    for line in wrong(found):
        print(f"WRONG  {line.part} | {line.what} | {line.value} | {line.note}")
    for line in (line for line in found if line.kind in (GOAL, LOW_GOAL)):
        print(f"{'reached' if line.holds else 'missed '}  {line.what}: {line.value:.2f} (aim {line.bound:.2f})")
    bounds = [line for line in found if line.kind == RIGHT]
    print(f"{sum(bool(line.holds) for line in bounds)} of {len(bounds)} checks hold, {len(found)} lines")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
