"""Numbers as the pages print them."""

from __future__ import annotations


def format_number(value: float | None, digits: int = 1) -> str:
    """A number as the tables print it; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign: a true minus, and no sign on zero."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"
