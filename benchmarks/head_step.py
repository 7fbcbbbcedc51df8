"""Training step of the vectorised head compared with the loop version of the tests, in one run.

`python -m benchmarks head_step` prints milliseconds and the ratio. It is not a test, because timings are not
assertions.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from tests.model import loops
from vidprism.model import VidPrismHead

BATCH, FRAMES, WIDTH, CLASSES, RATES = 32, 32, 512, 101, (2, 4, 8, 16)


def run(threads: int = 2, repeats: int = 5) -> dict:
    """Time one training step (forward, losses, backward) of both versions.

    Args:
        threads: CPU threads of torch, for both.
        repeats: timed steps of each; the fastest counts, as other work on the machine only ever adds time.

    Returns:
        `vectorised_ms`, `loops_ms`, `ratio`, and the setting.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    head = VidPrismHead(WIDTH, CLASSES, RATES)
    features_BTD, labels_B = torch.randn(BATCH, FRAMES, WIDTH), torch.randint(CLASSES, (BATCH,))

    def vectorised() -> None:
        head.objective(head(features_BTD), labels_B)["total"].backward()

    def looped() -> None:
        loops.objective(head, loops.forward(head, features_BTD), labels_B).backward()

    fast_ms, slow_ms = _fastest_ms(vectorised, head, repeats), _fastest_ms(looped, head, repeats)
    setting = {"batch": BATCH, "frames": FRAMES, "width": WIDTH, "rates": list(RATES), "threads": threads}
    return {"vectorised_ms": fast_ms, "loops_ms": slow_ms, "ratio": slow_ms / fast_ms} | setting


def _fastest_ms(step: Callable[[], None], head: VidPrismHead, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        head.zero_grad()
        start_sec = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start_sec))
    return min(times[1:])


if __name__ == "__main__":
    result = run()
    times = f"vectorised {result['vectorised_ms']:.0f} ms, loops {result['loops_ms']:.0f} ms"
    print(f"{times}, ratio {result['ratio']:.1f}")
