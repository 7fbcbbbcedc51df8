"""The frozen track: the repeats of a cell train side by side on cached frame features. A logistic regression is fitted
at once instead, one repeat after the other.

The parameters of all repeats are stacked, and the head runs once under ``torch.func.vmap``. The gradient of the summed
losses contains each repeat's own gradient in its slice, and AdamW works element by element, so the repeats are
independent. Shapes: R repeats, N videos, V views, B batch, T frames, D width, C classes, E experts, S updates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vidprism.records.log import Log
from vidprism.runtime import interruption, progress
from vidprism.runtime.errors import TrainingError
from vidprism.training import log_values
from vidprism.training.adamw import AdamW
from vidprism.training.inputs import Inputs
from vidprism.training.job import Job, Outcome, class_means
from vidprism.training.recipe import (
    LOG_EVERY,
    Recipe,
    batch_order,
    check_finite,
    parameter_groups,
    repeat_generator,
)

VIDEOS_PER_CHUNK = 128  # videos scored at once, to limit memory (`gate_scope: batch_mean` averages over one chunk)


def run_frozen(job: Job, inputs: Inputs) -> Outcome:
    """Train all repeats of a cell and score a split.

    Raises:
        TrainingError: a loss is not finite, or a logistic regression cannot be fitted.
    """
    heads = [job.build(inputs, seed) for seed in job.seeds]
    if job.recipe.inverse_penalty:
        _fit_at_once(heads, job, inputs)
    stack = Stack(heads)
    union = np.unique(np.concatenate([chosen.positions for chosen in job.training]))
    labels_N = inputs.labels("train")[union]
    losses_RS, usage_RCE, seeds = np.empty((stack.size, 0)), None, job.seeds
    if job.recipe.updates:
        features_NTD = inputs.read("train", union)[:, 0]
        losses_RS = fit_stack(stack, features_NTD, labels_N, _orders(job, union), job.recipe, seeds, job.where, job.log)
        _, experts_RNE = stack.predict(lambda at: features_NTD[at, None], len(union))
        if experts_RNE is not None:
            used = [np.isin(union, chosen.positions) for chosen in job.training]
            usage_RCE = np.stack(
                [class_means(e[u], labels_N[u], inputs.n_classes) for e, u in zip(experts_RNE, used, strict=True)]
            )
    readable = np.flatnonzero(inputs.usable(job.split))
    logits_RNVC, experts_RNE = stack.predict(lambda at: inputs.read(job.split, readable[at]), len(readable))
    trained = stack.weights(), stack.n_parameters, stack.device
    return Outcome(losses_RS, logits_RNVC, experts_RNE, usage_RCE, *trained, logs={job.log.series: job.log.points})


def _fit_at_once(heads: list[Any], job: Job, inputs: Inputs) -> None:
    """Fit each head (`vidprism.methods._parts.regression`) on the training clips of its repeat."""
    labels_N = inputs.labels("train")
    for head, chosen, seed in zip(heads, job.training, job.seeds, strict=True):
        at = chosen.positions
        try:
            head.fit(inputs.read("train", at)[:, 0], labels_N[at], job.recipe.inverse_penalty)
        except ValueError as error:
            raise TrainingError(f"{job.where}, repeat {seed}: {error}") from error


def _orders(job: Job, union: np.ndarray) -> np.ndarray:
    """The clips of every repeat and update (R, S, B), as positions in `union`."""
    orders = []
    for chosen, seed in zip(job.training, job.seeds, strict=True):
        order = batch_order(len(chosen.positions), job.batch_size, job.recipe.updates, seed)
        orders.append(np.searchsorted(union, chosen.positions)[order])
    return np.stack(orders)


class Stack:
    """Several modules of one architecture with their parameters stacked along a new first dimension."""

    def __init__(self, modules: list[nn.Module], device: str | None = None) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.module = modules[0].to(self.device)
        self.n_parameters = sum(p.numel() for p in self.module.parameters())
        self.size = len(modules)
        parameters, buffers = stack_module_state([m.to(self.device) for m in modules])
        self.parameters = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        self.buffers = {name: b.detach() for name, b in buffers.items()}

    def objective(
        self, features_RBTD: Tensor, labels_RB: Tensor, draws_R: dict[str, Tensor] | None = None
    ) -> log_values.Seen:
        """The objective of each repeat on its own batch: "loss/total" (R,) and the other logged values. `draws_R` are
        the random tensors of the method (`draws`), stacked over the repeats.
        """
        drawn = () if draws_R is None else (draws_R,)
        return vmap(self._objective)(self.parameters, self.buffers, features_RBTD, labels_RB, *drawn)

    def _objective(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x_BTD: Tensor,
        labels_B: Tensor,
        *drawn: dict[str, Tensor],
    ) -> log_values.Seen:
        return functional_call(_Objective(self.module), _prefixed(parameters, buffers), (x_BTD, labels_B, *drawn))

    def draw(self, rngs: list[torch.Generator], n_clips: int) -> dict[str, Tensor] | None:
        """The random tensors of an update, stacked over the repeats; None if the method draws nothing."""
        if not hasattr(self.module, "draws"):
            return None
        head: Any = self.module
        of_repeats = [head.draws(rng, n_clips) for rng in rngs]
        return {name: torch.stack([draws[name] for draws in of_repeats]).to(self.device) for name in of_repeats[0]}

    def predict(self, read: Callable[[np.ndarray], np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Score `n` videos with every repeat; `read` gives the features (n, V, T, D) of some of them.

        Returns:
            Logits (R, N, V, C) float32 and expert weights (R, N, E), the mean over views, or None.
        """

        def forward(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x_BTD: Tensor) -> tuple[Tensor, ...]:
            output = functional_call(self.module, (parameters, buffers), (x_BTD,))
            return (output.logits,) if output.expert_weights is None else (output.logits, output.expert_weights)

        self.module.eval()
        logits, experts = [], []
        with torch.no_grad():
            for start in range(0, n, VIDEOS_PER_CHUNK):
                x_NVTD = torch.from_numpy(read(np.arange(start, min(start + VIDEOS_PER_CHUNK, n)))).to(self.device)
                scored = vmap(forward, in_dims=(0, 0, None))(self.parameters, self.buffers, x_NVTD.flatten(0, 1))
                views = [s.unflatten(1, x_NVTD.shape[:2]).float().cpu().numpy() for s in scored]
                logits.append(views[0])
                experts += [views[1].mean(axis=2)] if len(views) > 1 else []
        return np.concatenate(logits, axis=1), np.concatenate(experts, axis=1) if experts else None

    def weights(self) -> dict[str, Tensor]:
        """The stacked parameters (R, ...) by name, on the CPU."""
        return {name: p.detach().cpu().contiguous() for name, p in self.parameters.items()}


class _Objective(nn.Module):
    """Forward and objective as one module, because `functional_call` wraps one module."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.head = head

    def forward(self, x_BTD: Tensor, labels_B: Tensor, *drawn: dict[str, Tensor]) -> log_values.Seen:
        output = self.head(x_BTD, *drawn)
        return log_values.see(output, self.head.objective(output, labels_B))


def _prefixed(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"head.{name}": tensor for part in (parameters, buffers) for name, tensor in part.items()}


def fit_stack(
    stack: Stack,
    features_NTD: np.ndarray,
    labels_N: np.ndarray,
    orders_RSB: np.ndarray,
    recipe: Recipe,
    seeds: list[int],
    where: str,
    log: Log | None = None,
) -> np.ndarray:
    """Train the stacked modules; `orders_RSB` holds the clips of every update.

    Returns:
        The objective of every repeat before each update, (R, S).

    Raises:
        TrainingError: a loss is not finite.
        Interrupted: the process was told to stop.
    """
    stack.module.train()
    optimizer = AdamW(parameter_groups(stack.parameters.values(), recipe, stacked=True))
    labels = torch.from_numpy(labels_N.astype(np.int64)).to(stack.device)
    features = torch.from_numpy(features_NTD).to(stack.device)
    orders = torch.from_numpy(orders_RSB).to(stack.device)
    history: list[Tensor] = []
    log, rngs = log or Log(""), [repeat_generator(seed) for seed in seeds]
    for step in progress.track(range(recipe.updates), "update"):
        at_RB = orders[:, step]
        labels_RB = labels[at_RB]
        seen = stack.objective(features[at_RB], labels_RB, stack.draw(rngs, at_RB.shape[1]))
        losses_R = seen["loss/total"]
        losses_R.sum().backward()
        optimizer.step(recipe.lr_factor(step))
        history.append(losses_R.detach())
        if log.due(step + 1, recipe.updates):
            found = log_values.as_numbers(seen, labels_RB) | {"lr": recipe.lr * recipe.lr_factor(step)}
            log.add(step + 1, found, at_RB.numel())
        if (
            (step + 1) % LOG_EVERY == 0 or step + 1 == recipe.updates
        ):  # the values are checked once per group and not after every update
            for back, values in enumerate(torch.stack(history[step // LOG_EVERY * LOG_EVERY :]).tolist()):
                check_finite(values, seeds, step // LOG_EVERY * LOG_EVERY + back, where, recipe.lr)
            if interruption.stop_requested():
                raise interruption.Interrupted(f"{where}: told to stop; the finished cells of the row are kept")
    return torch.stack(history, dim=1).cpu().numpy()
