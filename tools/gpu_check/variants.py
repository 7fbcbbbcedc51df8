"""The effect of other settings, the kernels that run, and the cost of moving clips to the device.

Everything runs on the first backbone of `Size.fast` with one batch size, in one process, so that ratios are from one
run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from tools.gpu_check.lines import Lines
from tools.gpu_check.models import Size
from tools.gpu_check.speed import Updates, seconds, updates, wait

ATTENTION = "aten::_scaled_dot_product"  # prefixes of operations that name the kernel
WAITS = ("aten::_local_scalar_dense", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
SHOWN = 10  # kernels
STEPS = 8  # updates for each way of copying


def _batch_size(size: Size) -> int:
    return max(2, size.most_frames // size.fast[0].frames // 4)


def settings(lines: Lines, size: Size) -> None:
    """An update as it is, and with one setting changed; the first again at the end."""
    ways: dict[str, Callable[[Updates], object]] = {
        "as it is": lambda made: None,
        "fused AdamW": _fuse,
        "channels last": lambda made: made.loop.model.visual.to(memory_format=torch.channels_last),
        "TensorFloat-32 in products": lambda made: torch.set_float32_matmul_precision("high"),
    }
    if size.compiled:
        ways["torch.compile of the image tower"] = lambda made: made.loop.model.visual.compile()
    else:
        lines.skipped("torch.compile of the image tower", "it compiles for minutes, too long for the toy form")
    ways["as it is, again"] = ways["as it is"]
    first = None
    for name, change in ways.items():
        with lines.guarded(name):
            made = updates(size, size.fast[0], _batch_size(size))
            change(made)
            warm = seconds(lambda made=made: made.run(1))
            took = made.seconds(size.updates)
            first = first or took
            note = f"{1000 * took:.1f} ms an update, the first one {warm:.1f} s"
            lines.measured(f"{name}: speed against as it is", first / took, note=note)
            torch.set_float32_matmul_precision("highest")


def _fuse(made: Updates) -> None:
    groups = [{**group} for group in made.loop.optimizer.optimizer.param_groups]
    made.loop.optimizer = made.loop.engine.prepare_optimizer(torch.optim.AdamW(groups, fused=True))


def kernels(lines: Lines, size: Size) -> None:
    """The time of an update by kernel, the form of attention that runs, and how often the host waits."""
    made = updates(size, size.fast[0], _batch_size(size))
    made.run(2)
    on_gpu = torch.cuda.is_available()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=kinds) as seen:
        made.run(1)
    events = seen.key_averages()
    if on_gpu:
        time_us = {e.key: e.self_device_time_total for e in events if e.device_type == DeviceType.CUDA}
    else:
        time_us = {e.key: e.self_cpu_time_total for e in events}
    for name, us in sorted(time_us.items(), key=lambda item: -item[1])[:SHOWN]:
        lines.measured(f"{name[:100]}", us / sum(time_us.values()), note="share of the time of all kernels")
    for event in events:
        if event.key.startswith(ATTENTION):
            lines.measured(f"attention by {event.key}", event.count, note="times an update")
        if event.key in WAITS:
            lines.measured(f"the host waits: {event.key}", event.count, note="times an update")


def copies(lines: Lines, size: Size) -> None:
    """Clips that are on the device; copied before each update, as in the loop; and pinned and copied in parallel."""
    if not torch.cuda.is_available():
        lines.skipped("clips copied beside the computation", "needs a GPU")
        return
    made = updates(size, size.fast[0], _batch_size(size))
    made.run(2)
    here, pinned = made.frames.cpu(), made.frames.cpu().pin_memory()
    ways = {"on the device": _resident, "copied before the update": _before, "pinned, copied beside it": _beside}
    megabytes = here.numel() / 1e6
    for name, way in ways.items():
        took = seconds(lambda way=way: way(made, here, pinned)) / STEPS
        lines.measured(f"clips {name}: an update", 1000 * took, "ms", f"{megabytes:.0f} MB of clips")


def _resident(made: Updates, here: torch.Tensor, pinned: torch.Tensor) -> None:
    made.run(STEPS)


def _before(made: Updates, here: torch.Tensor, pinned: torch.Tensor) -> None:
    for _ in range(STEPS):
        made.loop._update(here.to(made.frames.device), made.labels)
    wait()


def _beside(made: Updates, here: torch.Tensor, pinned: torch.Tensor) -> None:
    """Copy the next batch in a separate stream while an update runs."""
    stream, device = torch.cuda.Stream(), made.frames.device
    following = pinned.to(device, non_blocking=True)
    for _ in range(STEPS):
        torch.cuda.current_stream().wait_stream(stream)
        frames = following
        frames.record_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            following = pinned.to(device, non_blocking=True)
        made.loop._update(frames, made.labels)
    wait()
