"""Check that the GPU computes the same as the CPU: every method on cached features and on clips, in every precision.

The reference is the same model on the CPU in float64. An error is the norm of the difference relative to the norm of
the reference. In half precision, a head may choose other frames or gates than in float64 and then differs visibly, so
its bound is the error of the same precision on the CPU. Letters: R repeats, B clips, T time steps, D width, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tools.gpu_check import models
from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size, Tower
from vidprism import methods
from vidprism.config import ConfigError
from vidprism.finetuning import microbatches
from vidprism.finetuning.loop import accelerator
from vidprism.finetuning.model import EndToEnd
from vidprism.training import frozen
from vidprism.training.log_values import LOGITS
from vidprism.training.recipe import Recipe, Tuning

FLOAT32 = 1e-4  # TensorFloat-32 would give about 3e-4, a wrong formula far more
# Bound in bf16 and fp16: the floor, plus the factor times the error of bf16 on the CPU.
HALF_FLOOR, HALF_FACTOR = 0.02, 3.0
SCALE = 1024.0  # scale of the objective in fp16
LR, UPDATES = 1e-3, 10


class Pass(NamedTuple):
    """The result of one pass, as float64 on the CPU: logits, objective, and the gradient of all parameters in a row
    (the last two None for a method that is not trained).
    """

    logits: Tensor
    objective: Tensor | None
    gradient: Tensor | None


class InDouble(TorchFunctionMode):
    """Inside the block ``tensor.float()`` gives float64, so that the reference is never rounded."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return (torch.Tensor.double if func is torch.Tensor.float else func)(*args, **(kwargs or {}))


def clips(lines: Lines, size: Size, tower: Tower) -> None:
    """The tuned track: every method on one backbone."""
    data = models.noise(tower, size.n_clips, size.n_classes)
    _tensor_float(lines, size, tower, data)
    for method in methods.on_features():
        what = f"{method} on {tower.name}"
        with lines.guarded(what):
            try:
                methods.check_track(method, "tuned")
                reference = models.build(tower, method, size.n_classes, on="cpu")
            except ConfigError as error:
                lines.skipped(what, str(error))
                continue
            exact = _reference(reference, data)
            _compare(lines, f"{what}, fp32", _pass(_model(size, tower, method), data), exact, FLOAT32)
            with torch.autocast("cpu", torch.bfloat16):
                rounded = _plain(deepcopy(reference), data)
            for precision in ("bf16", "fp16"):
                _half(lines, what, precision, _model(size, tower, method), data, exact, rounded)
            if exact.gradient is not None:
                _parts(lines, size, tower, method, data)


def _tensor_float(lines: Lines, size: Size, tower: Tower, data: models.Noise) -> None:
    """The error of PyTorch's default, TensorFloat-32 in convolutions, on a GPU; everything else is measured without
    it.
    """
    exact = _reference(models.build(tower, "mean_pool", size.n_classes, on="cpu"), data)
    for allowed in (True, False):
        torch.backends.cudnn.allow_tf32 = allowed
        found = error(_pass(_model(size, tower, "mean_pool"), data).logits, exact.logits)
        said = "with" if allowed else "without"
        lines.measured(f"mean_pool on {tower.name}, fp32 {said} TensorFloat-32 in convolutions, error of logits", found)


def _model(size: Size, tower: Tower, method: str, **tuned: Any) -> EndToEnd:
    return models.build(tower, method, size.n_classes, Tuning(**tuned))


def _reference(model: EndToEnd, data: models.Noise) -> Pass:
    with InDouble():
        return _plain(deepcopy(model).double(), data)


def _plain(model: EndToEnd, data: models.Noise) -> Pass:
    """A pass on the CPU, without Accelerate."""
    if not list(model.head.parameters()):
        with torch.no_grad():
            return Pass(model.eval()(data.clips_BTSS3).logits.double(), None, None)
    total = model.train()(data.clips_BTSS3, data.labels)
    total.backward()
    return _found(model, total)


def _pass(model: EndToEnd, data: models.Noise, precision: str = "fp32", n_parts: int = 1) -> Pass:
    """A pass on the device, as made by the tuned track."""
    AcceleratorState._reset_state()
    engine = accelerator(Tuning(precision=precision))
    if engine.scaler:  # an initial scale at which nothing overflows; a training finds its own
        engine.scaler = type(engine.scaler)(init_scale=SCALE)
    frames, labels = data.clips_BTSS3.to(engine.device), data.labels.to(engine.device)
    trained = bool(list(model.head.parameters()))
    wrapped = engine.prepare_model(model.train(trained), evaluation_mode=not trained)
    if not trained:
        with torch.no_grad():
            return Pass(wrapped(frames).logits.double().cpu(), None, None)
    total = microbatches.backward(engine, wrapped, frames, labels, n_parts)
    return _found(model, total, engine.scaler.get_scale() if engine.scaler else 1.0)


def _found(model: EndToEnd, total: Tensor, scale: float = 1.0) -> Pass:
    gradient = torch.cat([p.grad.double().flatten().cpu() for p in model.parameters() if p.grad is not None])
    return Pass(model.seen[0][LOGITS].detach().double().cpu(), total.detach().double().cpu(), gradient / scale)


def error(found: Tensor, exact: Tensor) -> float:
    """Norm of the difference over the norm of `exact`."""
    return float(torch.linalg.vector_norm(found - exact) / torch.linalg.vector_norm(exact))


def _compare(lines: Lines, what: str, found: Pass, exact: Pass, at_most: float) -> None:
    for name, value, wanted in zip(Pass._fields, found, exact, strict=True):
        if wanted is not None:
            lines.right(f"{what}, {name}", error(value, wanted), at_most)


def _half(
    lines: Lines, what: str, precision: str, model: EndToEnd, data: models.Noise, exact: Pass, rounded: Pass
) -> None:
    try:
        found = _pass(model, data, precision)
    except ConfigError as why:
        lines.skipped(f"{what}, {precision}", str(why))
        return
    for name, value, wanted, coarse in zip(Pass._fields, found, exact, rounded, strict=True):
        if wanted is not None:
            on_cpu = error(coarse, wanted)
            note = f"bf16 on the CPU: {on_cpu:.1e}"
            bound = HALF_FLOOR + HALF_FACTOR * on_cpu
            lines.right(f"{what}, {precision}, {name}", error(value, wanted), bound, note=note)


def _parts(lines: Lines, size: Size, tower: Tower, method: str, data: models.Noise) -> None:
    """Gradient checkpointing and micro-batches against a plain pass, all in float32 on the device."""
    whole = _pass(_model(size, tower, method), data)
    again = _pass(_model(size, tower, method, grad_checkpointing=True), data)
    what = f"{method} on {tower.name}"
    lines.right(f"{what}, gradient with checkpointing", error(again.gradient, whole.gradient), FLOAT32)
    steps = tower.frames // (2 if tower.key == "videomae" else 1)
    coupled = methods.batch_terms(method, methods.resolve(method, {}, steps))
    model = _model(size, tower, method)
    if hasattr(model.head, "draws"):
        coupled = [*coupled, "what it draws at random for each part"]
    if coupled:
        lines.skipped(f"{what}, gradient of 2 micro-batches", f"another objective: {', '.join(coupled)}")
        return
    cut = _pass(model, data, n_parts=2)
    lines.right(f"{what}, gradient of 2 micro-batches", error(cut.gradient, whole.gradient), FLOAT32)


def heads(lines: Lines, size: Size) -> None:
    """The frozen track: the stacked repeats of every method on noise features, and some updates of them."""
    n, n_steps, dim, n_classes = 3, 8, 64, 5
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * size.n_clips, n_steps, dim)).astype(np.float32)
    labels = np.arange(len(features)) % n_classes
    texts = nn.functional.normalize(torch.randn(n_classes, dim, generator=torch.Generator().manual_seed(1)), dim=1)
    orders = np.stack([np.stack([rng.permutation(len(features)) for _ in range(UPDATES)]) for _ in range(n)])
    recipe = Recipe(UPDATES, len(features), LR, 0.05, 0.1)
    for method in methods.on_features():
        if not methods.is_trained(method):
            continue
        with lines.guarded(f"{method}, stacked"):
            task = methods.Task(dim, n_classes, n_steps, texts, 10.0)
            made = [methods.build(method, task, {}, seed) for seed in range(n)]
            here, exactly = frozen.Stack(deepcopy(made), models.device()), [deepcopy(m).double() for m in made]
            found = _stacked(here, torch.from_numpy(features), labels)
            exact = _stacked(frozen.Stack(exactly, "cpu"), torch.from_numpy(features).double(), labels)
            _compare(lines, f"{method}, {n} repeats stacked, fp32", found, exact, FLOAT32)
            stacks = [frozen.Stack(deepcopy(made), where) for where in (models.device(), "cpu")]
            curves = [frozen.fit_stack(s, features, labels, orders, recipe, list(range(n)), method) for s in stacks]
            worst = np.abs(curves[0] / curves[1] - 1).max()
            lines.right(f"{method}, losses of {UPDATES} updates of {n} repeats against the CPU", worst, 100 * FLOAT32)


def _stacked(stack: frozen.Stack, features_BTD: Tensor, labels_B: np.ndarray) -> Pass:
    stack.module.train()
    x_RBTD, labels_RB = (
        x.expand(stack.size, *x.shape).to(stack.device) for x in (features_BTD, torch.as_tensor(labels_B))
    )
    seen = stack.objective(x_RBTD, labels_RB)
    total = seen["loss/total"]
    total.sum().backward()
    grads = [p.grad for p in stack.parameters.values() if p.grad is not None]
    gradient = torch.cat([g.double().flatten().cpu() for g in grads])
    return Pass(seen[LOGITS].detach().double().cpu(), total.detach().double().cpu(), gradient)
