"""Check that a training gives the same bits when it is run again, when it is stopped and resumed, and as the only
process of a launcher.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from tools.gpu_check import models
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size, Tower
from tools.gpu_check.right import FLOAT32, error
from vidprism.config import ConfigError
from vidprism.finetuning import loop
from vidprism.finetuning.checkpoint import Keeper, State
from vidprism.runtime.determinism import deterministic, workspace
from vidprism.training.recipe import Tuning

METHOD, UPDATES, SAVED = "vidprism_c", 6, 3
LAUNCH_SEC = 90


class Trained(NamedTuple):
    """Losses (S,) and all weights in a row, on the CPU."""

    losses: Tensor
    weights: Tensor


class _Stopped(Exception):
    """The training was stopped after a state was saved."""


class _StopsAfterSaving(Keeper):
    def save(self, state: State) -> None:
        super().save(state)
        raise _Stopped


def train(size: Size, tower: Tower, tuned: Tuning, keeper: Keeper | None = None) -> Trained:
    """Some updates of VidPrism on noise, through the loop of the tuned track."""
    AcceleratorState._reset_state()
    data = models.noise(tower, 2 * size.n_clips, size.n_classes)
    model = models.build(tower, METHOD, size.n_classes, tuned)
    recipe = models.recipe(size.n_clips, UPDATES, tuned)
    with workspace(tuned.deterministic):
        square = torch.ones(2, 2, device=models.device())
        square @ square  # a row encodes its class texts before it requests deterministic operations
        with deterministic(tuned.deterministic):
            fitted = loop.fit(model, data, recipe, size.n_clips, 0, METHOD, keeper=keeper)
    weights = torch.cat([p.detach().flatten().cpu() for p in model.parameters()])
    return Trained(torch.from_numpy(fitted.losses), weights)


def same(one: Trained, other: Trained) -> bool:
    """Whether losses and weights are equal, bit for bit."""
    return torch.equal(one.losses, other.losses) and torch.equal(one.weights, other.weights)


def repeated(lines: Lines, size: Size) -> None:
    """The same training twice, and stopped and resumed, in each precision."""
    tower = size.right[-1]
    for precision in ("fp32", "bf16", "fp16"):
        what = f"{METHOD} on {tower.name}, {precision}"
        tuned = Tuning(precision=precision, deterministic=True)
        with lines.guarded(what):
            try:
                whole = train(size, tower, tuned)
            except ConfigError as why:
                lines.skipped(what, str(why))
                continue
            lines.equal(f"{what}, train.deterministic: the same bits twice", same(whole, train(size, tower, tuned)))
            lines.equal(f"{what}, stopped and resumed: the same bits", same(whole, _resumed(size, tower, tuned)))
            loose = replace(tuned, deterministic=False)
            first, second = train(size, tower, loose), train(size, tower, loose)
            apart = error(second.weights, first.weights)
            lines.measured(f"{what}, without train.deterministic: how far the weights of two runs are apart", apart)


def _resumed(size: Size, tower: Tower, tuned: Tuning) -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.pt"
        try:
            train(size, tower, tuned, _StopsAfterSaving(path, SAVED))
        except _Stopped:
            return train(size, tower, tuned, Keeper(path, SAVED))
    raise RuntimeError("no state was saved")


def launched(lines: Lines, size: Size) -> None:
    """One process under torchrun, which joins a process group (NCCL on a GPU), compared with one without a launcher;
    and a sharded model over that group. The suite itself refuses shards in one process, so they are created here.
    """
    tower = size.right[0]
    alone = train(size, tower, Tuning(precision="fp32"))
    for strategy in ("ddp", "fsdp"):
        what = f"{METHOD} on {tower.name}, one process under torchrun, {strategy}"
        with lines.guarded(what), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trained.pt"
            toy = ("toy",) if size is models.TOY else ()
            program = ("-m", "tools.gpu_check.same_bits", strategy, str(path), *toy)
            launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1")
            done = subprocess.run(
                [sys.executable, *launcher, *program], capture_output=True, text=True, timeout=LAUNCH_SEC, check=False
            )
            if done.returncode:
                lines.failed(what, done.stderr[-2000:])
                continue
            found = torch.load(path, weights_only=True)
            lines.right(f"{what}: losses", error(found["losses"], alone.losses), FLOAT32, note=found["how"])
            lines.right(f"{what}: weights", error(found["weights"], alone.weights), 10 * FLOAT32, note=found["how"])


def main(arguments: list[str]) -> None:
    """Started by torchrun: train with a strategy and write the result."""
    strategy, path, *toy = arguments
    from accelerate import PartialState

    # shards need the process group before the loop creates it
    state = PartialState(cpu=not torch.cuda.is_available())
    size = models.TOY if toy else models.FULL
    found = train(size, size.right[0], Tuning(precision="fp32", strategy=strategy))
    how = f"backend {state.backend}, {state.distributed_type}"
    torch.save({"losses": found.losses, "weights": found.weights, "how": how}, path)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"
    main(sys.argv[1:])
