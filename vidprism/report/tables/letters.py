"""Letters for ties: rows that share a letter were not separated from each other.

Source: H.-P. Piepho, An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons, Journal of
Computational and Graphical Statistics 13, 2004 (insert and absorb).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def tie_letters(means: Sequence[float], separated: Iterable[tuple[int, int]]) -> list[str]:
    """The letters of each row, `a` for the group that holds the best row.

    Args:
        means: accuracy of each row, (N,).
        separated: the pairs of rows that a test separates.

    Returns:
        One string per row. Two rows share a letter if and only if no test separates them.
    """
    groups = [frozenset(range(len(means)))]
    for i, j in separated:
        split = [part for g in groups for part in ([g - {i}, g - {j}] if i in g and j in g else [g])]
        groups = _absorbed(split)
    groups.sort(key=lambda g: sorted((-means[i], i) for i in g))
    return ["".join(_letter(n) for n, group in enumerate(groups) if i in group) for i in range(len(means))]


def _absorbed(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """The groups without those that are contained in another one."""
    unique = list(dict.fromkeys(groups))
    return [g for g in unique if not any(g < other for other in unique)]


def _letter(n: int) -> str:
    return ALPHABET[n % 26] + "′" * (n // 26)
