"""The speed of a row on the tuned track. Times change from run to run, so they are stored beside the wall times of the
stages (reports/timings) and never in a record.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Speed:
    """Clips trained on and videos scored, each with its wall time in seconds, reading included, and the peak device
    memory in MiB (None on a CPU). Repeats that ran side by side each count their own time.
    """

    train_videos: int = 0
    train_seconds: float = 0.0
    eval_videos: int = 0
    eval_seconds: float = 0.0
    peak_device_mib: int | None = None

    def __add__(self, other: Speed) -> Speed:
        peaks = [peak for peak in (self.peak_device_mib, other.peak_device_mib) if peak is not None]
        return Speed(
            self.train_videos + other.train_videos,
            self.train_seconds + other.train_seconds,
            self.eval_videos + other.eval_videos,
            self.eval_seconds + other.eval_seconds,
            max(peaks, default=None),
        )

    def facts(self) -> dict[str, float | int | None]:
        """Videos per second (None if there were none) and the peak memory."""
        return {
            "train_videos_per_sec": _rate(self.train_videos, self.train_seconds),
            "eval_videos_per_sec": _rate(self.eval_videos, self.eval_seconds),
            "peak_device_mib": self.peak_device_mib,
        }


def peak_mib() -> int | None:
    """Peak memory of tensors on the GPU since `reset`; None without a GPU."""
    return torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else None


def reset() -> None:
    """Forget earlier peaks."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _rate(videos: int, seconds: float) -> float | None:
    return round(videos / seconds, 3) if videos else None
