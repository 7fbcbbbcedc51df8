"""The loop that trains one repeat end to end: its batches, its updates, what is logged and what is saved.

Hugging Face Accelerate handles devices, precision and, for several processes that train together, averaged gradients.
Shapes: B batch, S updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vidprism.finetuning import blocks, fsdp, microbatches
from vidprism.finetuning.checkpoint import Keeper, State, generators, set_generators
from vidprism.finetuning.inputs import Reading
from vidprism.finetuning.loader import Clips, Failed, read_ahead
from vidprism.records.log import Log
from vidprism.runtime import interruption, processes, progress, watchdog
from vidprism.runtime.errors import TrainingError
from vidprism.training import log_values
from vidprism.training.recipe import LOG_EVERY, Recipe, Tuning, batch_order

if TYPE_CHECKING:
    from vidprism.finetuning.model import EndToEnd

ALONE = Reading()


@dataclass
class Fitted:
    """The objective before each update (S,), NaN for skipped updates; the number of updates made by this process (a
    resumed run made the others earlier); the clips of the skipped updates; and the unreadable videos with the reason.
    """

    losses: np.ndarray
    updates_done: int
    skipped: list[list[str]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def fit(
    model: EndToEnd,
    clips: Clips,
    recipe: Recipe,
    batch_size: int,
    seed: int,
    where: str,
    reading: Reading = ALONE,
    keeper: Keeper | None = None,
    log: Log | None = None,
) -> Fitted:
    """Train one model in place; with `ema_decay` it ends with the average of its weights.

    Args:
        clips: n clips with labels; item p * n + i is clip i in pass p over them.
        reading: how many processes read clips, and how unreadable clips are handled.
        keeper: where the state is saved during the training; an existing state is resumed.
        log: filled during the training.

    Raises:
        TrainingError: a loss or gradient is not finite, a clip cannot be read, or the state cannot be written.
        Interrupted: the process was told to stop; the state is saved.
    """
    where, keeper, log = f"{where}, repeat {seed}", keeper or Keeper(), log or Log("")
    trained = fsdp.sharded(model) if recipe.tuned.strategy == "fsdp" else model
    loop = _Loop(trained, clips, recipe, batch_size, seed, where, keeper, log)
    loop.run(reading)
    if trained is not model:
        fsdp.unshard(trained, model)
    failed = {clips.name(i): failure.reason for i, failure in sorted(loop.failed.items())}
    return Fitted(loop.losses.float().cpu().numpy(), loop.step - loop.first, loop.skipped, failed)


def accelerator(tuned: Tuning) -> Accelerator:
    """Accelerate's view of this process.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    precision = tuned.precision_on("cuda" if torch.cuda.is_available() else "cpu").replace("fp32", "no")
    return Accelerator(mixed_precision=precision)


class _Loop:
    def __init__(
        self,
        model: EndToEnd,
        clips: Clips,
        recipe: Recipe,
        batch_size: int,
        seed: int,
        where: str,
        keeper: Keeper,
        log: Log,
    ) -> None:
        self.clips, self.recipe, self.where, self.keeper, self.log = clips, recipe, where, keeper, log
        order = batch_order(len(clips), batch_size, recipe.updates, seed)
        passes = np.arange(order.size).reshape(order.shape) // len(clips)
        self.numbers_SB = passes * len(clips) + order
        self.engine = accelerator(recipe.tuned)
        optimizer = blocks.optimizer(model.trained_groups(recipe.backbone_lr_scale), recipe)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.lr_factor)
        # a sharded model averages its gradients itself; here it only gets its device and precision
        self.wrapped = self.engine.prepare_model(model.train(), evaluation_mode=recipe.tuned.strategy == "fsdp")
        self.optimizer = self.engine.prepare_optimizer(optimizer)
        model.visual.train(bool(model.visual_groups))  # a frozen or adapted backbone also keeps its statistics
        self.model = model
        self.trained = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
        decay = recipe.tuned.ema_decay
        self.average = AveragedModel(self.trained, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None
        self.losses = torch.full((recipe.updates,), torch.nan, device=self.engine.device)
        self.norms = torch.zeros_like(self.losses)
        self.first = self.step = self.looked = 0
        self.saved: int | None = None
        self.skipped: list[list[str]] = []
        self.failed: dict[int, Failed] = {}  # by the position of the clip among the clips

    def run(self, reading: Reading) -> None:
        """Make all remaining updates."""
        self.bad_share = reading.bad_share
        kept = self.keeper.load()
        if kept is not None:
            self._restore(kept)
        size, world_size = self.numbers_SB.shape[1], processes.world_size()
        mine = slice(processes.rank() * size // world_size, (processes.rank() + 1) * size // world_size)
        numbers = self.numbers_SB[self.step :, mine]
        settings = reading.workers, reading.limit_sec, 2 * size, self.failed
        with closing(read_ahead(self.clips, numbers.ravel().tolist(), *settings)) as items:
            for of_update in progress.track(numbers, "update", self.recipe.updates, self.step):
                self._update(*self._batch(of_update, items))
                self._look_and_save()
        self.engine.free_memory()
        if self.average:
            self.trained.load_state_dict(self.average.module.state_dict())

    def _batch(self, numbers: np.ndarray, items: Iterator[Any]) -> tuple[Tensor, Tensor]:
        """This process's part of a batch. A clip that failed is black, and its label -1 excludes it from the
        objective.
        """
        found = [next(items) for _ in numbers]
        for number, item in zip(numbers.tolist(), found, strict=True):
            if isinstance(item, Failed):
                self.failed[number % len(self.clips)] = item
        pictures = [
            torch.zeros(self.clips.shape, dtype=torch.uint8) if isinstance(item, Failed) else torch.as_tensor(item[0])
            for item in found
        ]
        frames = torch.stack(pictures)
        labels = torch.tensor([-1 if isinstance(item, Failed) else item[1] for item in found])
        return frames.to(self.engine.device), labels.to(self.engine.device)

    def _update(self, frames: Tensor, labels: Tensor) -> None:
        watchdog.alive(f"{self.where}, update {self.step + 1}")
        try:
            loss = microbatches.backward(self.engine, self.wrapped, frames, labels, self.recipe.tuned.accumulate)
        except microbatches.NothingRead:
            self._check_failed(0.0)
            raise
        self.losses[self.step] = loss
        if self.engine.scaler is None:  # a gradient scaler checks its gradients itself and skips updates that overflow
            norm = nn.utils.get_total_norm([p.grad for p in self.trained if p.grad is not None])
            self.norms[self.step] = fsdp.whole(norm)
        if self.recipe.tuned.non_finite == "skip" and not self._is_finite():
            self._skip()
        else:
            self.optimizer.step()
            if self.average:
                self.average.update_parameters(self.trained)
        self.optimizer.zero_grad()
        self.schedule.step()
        self.step += 1
        if self.log.due(self.step, self.recipe.updates) and self.model.seen:
            lr = self.recipe.lr * self.recipe.lr_factor(self.step - 1)
            found = log_values.as_numbers(*self.model.seen) | {"lr": lr}
            self.log.add(self.step, found, self.numbers_SB.shape[1])

    def _is_finite(self) -> bool:
        return bool(torch.isfinite(self.losses[self.step] + self.norms[self.step]))

    def _skip(self) -> None:
        """Skip this update, as long as few updates are skipped.

        Raises:
            TrainingError: more than one in a hundred was skipped.
        """
        self.skipped.append(self._videos(self.step))
        most = max(1, self.recipe.updates // 100)
        if len(self.skipped) > most:
            raise TrainingError(
                f"{self.where}: {len(self.skipped)} updates had a loss or gradient that is not finite, the last one "
                f"update {self.step + 1}; train.non_finite: skip allows {most} of {self.recipe.updates}. "
                f"{self._advice()}"
            )
        self.losses[self.step], self.norms[self.step] = torch.nan, 0.0

    def _look_and_save(self) -> None:
        """At intervals: stop at a non-finite value, save the state, and stop if the process was told to."""
        last = self.recipe.updates
        look = self.step % LOG_EVERY == 0 or self.step == last
        due = self.keeper.due(self.step, last)
        stop = False
        if processes.world_size() == 1 or look:  # several processes must agree, and exchange data only at the interval
            stop = any(processes.gather(interruption.stop_requested()))
        if look or due or stop:
            self._check()
            self._check_failed(self.bad_share)
        if due or stop:
            self.keeper.save(self._state())
            self.saved = self.step
        if stop:
            kept = f"its state is kept in {self.keeper.path}" if self.keeper.path else "nothing of it is kept"
            raise interruption.Interrupted(f"{self.where}: told to stop after update {self.step}; {kept}")

    def _check(self) -> None:
        """Raises:
        TrainingError: since the last look a loss or gradient was not finite; names the update and its videos.
        """
        values = torch.stack([self.losses, self.norms])[:, self.looked : self.step].T.tolist()
        for step, (loss, norm) in enumerate(values, self.looked):
            skipped = self.recipe.tuned.non_finite == "skip" and math.isnan(loss)
            if skipped or (math.isfinite(loss) and math.isfinite(norm)):
                continue
            what = f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
            raise TrainingError(
                f"{self.where}: {what} at update {step + 1}, of {', '.join(self._videos(step))}. {self._advice()}"
            )
        self.looked = self.step

    def _check_failed(self, share: float) -> None:
        """Raises:
        TrainingError: more than a share of the videos failed; lists them.
        """
        for of_process in processes.gather(self.failed):
            self.failed.update(of_process)
        if len(self.failed) > share * len(self.clips):
            listed = [f"{self.clips.name(i)}: {failure.reason}" for i, failure in sorted(self.failed.items())]
            raise TrainingError(
                f"{self.where}: {len(listed)} of {len(self.clips)} training videos could not be read by update "
                f"{self.step}, although the check of the videos called them readable; train.bad_share allows a share "
                f"of {self.bad_share:g}, and no whole batch. Put intact files in their place, or delete them so that "
                "they are listed as unreadable, and run `dvc repro`:\n" + "\n".join(listed)
            )

    def _videos(self, step: int) -> list[str]:
        return [self.clips.name(int(number)) for number in self.numbers_SB[step]]

    def _advice(self) -> str:
        good = "no state was saved" if self.saved is None else f"the state after update {self.saved} is good"
        return f"Lower the learning rate (now {self.recipe.lr}) or look at these videos; {good}"

    def _state(self) -> State:
        scaler = self.engine.scaler
        return {
            "step": self.step,
            "parameters": [fsdp.whole(p.detach()) for p in self.trained],
            "buffers": dict(self.model.named_buffers()),
            "optimizer": fsdp.whole(self.optimizer.state_dict()),
            "schedule": self.schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler else None,
            "average": fsdp.whole(self.average.state_dict()) if self.average else None,
            "losses": self.losses,
            "skipped": self.skipped,
            "failed": {i: failure.reason for i, failure in self.failed.items()},
            "log": self.log.points,
            "generators": processes.gather(generators()),
            "rng": self.model.rng.get_state(),
        }

    def _restore(self, kept: State) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.trained, kept["parameters"], strict=True):
                parameter.copy_(fsdp.like(value, parameter))
            for name, buffer in self.model.named_buffers():
                buffer.copy_(kept["buffers"][name])
        self.optimizer.load_state_dict(fsdp.moments_like(kept["optimizer"], self.optimizer))
        self.schedule.load_state_dict(kept["schedule"])
        if self.engine.scaler:
            self.engine.scaler.load_state_dict(kept["scaler"])
        if self.average:
            self.average.load_state_dict(fsdp.all_like(kept["average"], self.average.state_dict()))
        self.losses.copy_(kept["losses"])
        set_generators(kept["generators"][processes.rank()])
        self.model.rng.set_state(kept["rng"])
        self.skipped = kept["skipped"]
        self.failed |= {i: Failed(reason) for i, reason in kept["failed"].items()}
        self.log.take_up(kept["log"])
        self.first = self.step = self.looked = self.saved = kept["step"]
