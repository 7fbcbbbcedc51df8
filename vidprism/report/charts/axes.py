"""Axes: values to positions, and ticks at round numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` drawn from `start` to `end`, in the units of the picture; `log` is logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The position of a value, with one decimal. A value outside the axis is drawn at its edge."""
        value = min(max(value, self.low), self.high)
        low, high, here = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, values: list[float]) -> tuple[tuple[float, str], ...]:
        """Position and text of the values that lie on the axis."""
        return tuple((self.at(v), tick_text(v)) for v in values if self.low <= v <= self.high)


def tick_text(value: float) -> str:
    """`0.001`, `2000`, `1e-06`: the shortest usual spelling, with a true minus."""
    return f"{value:g}".replace("-", "−") if abs(value) < 1e5 else f"{value:.0e}".replace("e+0", "e")


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers around `low` to `high`, at most `most` + 1 of them, the first at or below `low` and the last at or
    above `high`.
    """
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(s * power for s in (*STEPS, 20.0) if span / (s * power) <= most - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [round(i * step, 12) for i in range(first, last + 1)]


def linear_axis(low: float, high: float, start: float, end: float, most: int = 6) -> tuple[Axis, list[float]]:
    """A linear axis that begins and ends at a tick, and its ticks."""
    values = round_ticks(low, high, most)
    return Axis(values[0], values[-1], start, end), values


def log_axis(low: float, high: float, start: float, end: float) -> tuple[Axis, list[float]]:
    """A logarithmic axis over `low` to `high`, both above 0, with a margin, and ticks at 1, 2 and 5 times the powers of
    ten; only at the powers if there are many.
    """
    low, high = low / 1.15, high * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    values = [f * 10.0**p for p in powers for f in factors]
    return Axis(low, high, start, end, log=True), [v for v in values if low <= v <= high]
