"""Letters for ties: two rows share a letter exactly if no test separates them."""

import itertools
import random

import pytest

from vidprism.report.tables.letters import tie_letters


@pytest.mark.parametrize("seed", range(40))
def test_rows_share_a_letter_exactly_if_they_are_not_separated(seed: int) -> None:
    rng = random.Random(seed)
    n = rng.randint(1, 9)
    means = [rng.uniform(0, 100) for _ in range(n)]
    pairs = list(itertools.combinations(range(n), 2))
    separated = [pair for pair in pairs if rng.random() < rng.choice([0.1, 0.5, 0.9])]
    found = tie_letters(means, separated)
    for i, j in pairs:
        assert bool(set(found[i]) & set(found[j])) == ((i, j) not in separated), (i, j, found)
    assert "a" in found[max(range(n), key=means.__getitem__)]


def test_known_groups() -> None:
    assert tie_letters([50.0, 49.0, 30.0], []) == ["a", "a", "a"]
    assert tie_letters([50.0, 49.0, 30.0], [(0, 2)]) == ["a", "ab", "b"]
    assert tie_letters([30.0, 49.0, 50.0], [(0, 1), (0, 2)]) == ["b", "a", "a"]
    assert tie_letters([], []) == []


def test_no_group_lies_within_another() -> None:
    """A letter that says nothing new is not given."""
    found = tie_letters([9.0, 8.0, 7.0, 6.0], [(0, 3), (1, 3), (2, 3)])
    assert found == ["a", "a", "a", "b"]
