"""Faults of every kind at seeded random places: nothing may be lost, and the table goes to reports/."""

import errno
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.finetuning.test_checkpoint import FILES, ROW, TOTAL, Apart
from tests.training.toy import ToyBackbone, changed, make_config
from vidprism import backbones
from vidprism.config import Config, paths
from vidprism.finetuning import loop
from vidprism.finetuning.inputs import Reading, VideoInputs
from vidprism.finetuning.loader import Clips
from vidprism.finetuning.model import EndToEnd
from vidprism.runs import train
from vidprism.runtime import interruption
from vidprism.runtime.errors import TrainingError
from vidprism.training.job import Job
from vidprism.training.recipe import Recipe
from vidprism.videos.clips import Unreadable

N = 8  # faults of each kind
EVERY = 4  # updates between states
SAVES = ROW.updates // EVERY * len(ROW.repeats)
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def table() -> list[tuple[str, int, int, str]]:
    """Rows (kind, faults that struck, runs that ended otherwise, what it cost); written when all kinds are through."""
    rows: list[tuple[str, int, int, str]] = []
    yield rows
    lines = [
        "# Faults",
        "",
        "`make test-all`, one core, toy backbone, seeded. Lost: runs whose weights, scores or record differ",
        "from those of the run without faults (bad videos: clips left out beyond the bad ones).",
        "",
        "| fault | struck | lost | cost |",
        "|---|---|---|---|",
    ]
    lines += [f"| {kind} | {struck} | {lost} | {cost} |" for kind, struck, lost, cost in sorted(rows)]
    text = "\n".join(lines) + "\n"
    print(text)
    if "VIDPRISM_REPORTS" in os.environ:
        Path(os.environ["VIDPRISM_REPORTS"], "faults.md").write_text(text, encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    return changed(make_config(tmp_path), save_every=EVERY)


def files(config: Config) -> dict[str, bytes]:
    return {name: (paths.run(config, ROW.group, ROW.key) / name).read_bytes() for name in FILES}


@pytest.mark.parametrize(("kind", "signum"), [("SIGKILL", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)])
def test_signals(config: Config, table: list, kind: str, signum: int) -> None:
    apart, rng = Apart(config), random.Random(signum)
    assert apart.run() == 0
    whole, struck, lost = files(config), 0, 0
    while struck < N:
        status = apart.run(rng.randint(1, TOTAL), rng.uniform(0.0, 0.03), signum)
        struck += status in (-signal.SIGKILL, -signal.SIGTERM, interruption.STATUS)
        assert apart.run() == 0
        lost += files(config) != whole
    table.append((kind, struck, lost, "updates since the last state" if signum == signal.SIGKILL else "none"))
    assert lost == 0


def strikes(
    config: Config, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[random.Random], None]
) -> tuple[int, int]:
    """A fault that ends the run with an error, N times at random places; the run is restarted each time."""
    train.train_here(config, ROW)
    whole, rng, struck, lost = files(config), random.Random(1), 0, 0
    for _ in range(N):
        with monkeypatch.context() as broken:
            break_it(broken, rng)
            with pytest.raises(TrainingError):
                train.train_here(config, ROW)
        struck += 1
        assert files(config) == whole
        train.train_here(config, ROW)
        lost += files(config) != whole
    return struck, lost


def test_a_full_disk(config: Config, monkeypatch: pytest.MonkeyPatch, table: list) -> None:
    def full(broken: pytest.MonkeyPatch, rng: random.Random) -> None:
        save, at, count = torch.save, rng.randrange(SAVES), iter(range(10**6))

        def saving(state: object, file: object) -> None:
            if next(count) == at:
                file.write(b"half of it")
                raise OSError(errno.ENOSPC, "No space left on device")
            save(state, file)

        broken.setattr(torch, "save", saving)

    struck, lost = strikes(config, monkeypatch, full)
    table.append(("disk full while saving", struck, lost, "updates since the last state"))
    assert lost == 0


def test_a_loss_that_is_not_finite(config: Config, monkeypatch: pytest.MonkeyPatch, table: list) -> None:
    def poisoned(broken: pytest.MonkeyPatch, rng: random.Random) -> None:
        forward, at, count = EndToEnd.forward, rng.randrange(ROW.updates), iter(range(10**6))

        def spoiled(self: EndToEnd, frames: torch.Tensor, labels: torch.Tensor | None = None) -> object:
            found = forward(self, frames, labels)
            return found * torch.nan if labels is not None and next(count) == at else found

        broken.setattr(EndToEnd, "forward", spoiled)

    struck, lost = strikes(config, monkeypatch, poisoned)
    table.append(("loss not finite, once", struck, lost, "updates since the last state"))
    assert lost == 0


class Faulty(Clips):
    """Clips of which some crash, hang, or do not decode."""

    def __init__(self, inputs: VideoInputs, positions: np.ndarray, bad: dict[int, str]) -> None:
        super().__init__(inputs, positions)
        self.bad = bad

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        fault = self.bad.get(number % len(self))
        if fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault == "hang":
            signal.pause()
        if fault == "memory":
            raise MemoryError
        if fault == "unreadable":
            try:
                raise Unreadable("damaged")
            except Unreadable as error:
                raise TrainingError("damaged") from error
        return super().__getitem__(number)


@pytest.mark.parametrize("kind", ["crash", "hang", "memory", "unreadable"])
def test_bad_videos(config: Config, table: list, kind: str) -> None:
    inputs = VideoInputs(config, "ucf101", 8, "mini_clip")
    readable = np.flatnonzero(inputs.usable("train"))
    rng, struck, lost = random.Random(2), 0, 0
    recipe = Recipe(6, 4, 0.01, 0.0, 0.1)
    job = Job("mean_pool", {}, "plain", recipe, [], [0], "test", "here")
    while struck < N:
        bad = dict.fromkeys(rng.sample(range(len(readable)), 4), kind)
        dataset = Faulty(inputs, readable, bad)
        model = EndToEnd(inputs.load_backbone("cpu"), job.build(inputs, 0))
        found = loop.fit(model, dataset, recipe, 4, 0, "here", Reading(1, 1.5, 0.5))
        seen = {int(i) for i in loop.batch_order(len(readable), 4, 6, 0).ravel()}
        wanted = {dataset.name(i) for i in bad if i in seen}
        struck += len(wanted)
        lost += len(set(found.failed) ^ wanted)
    table.append((f"decoder: {kind}", struck, lost, "the clip; 1.5 s" if kind == "hang" else "the clip"))
    assert lost == 0
