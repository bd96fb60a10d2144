"""Sets of features by how much of the outputs their states go with, against a count of every cell."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dr_explorer.association import best_sets


def between(states: np.ndarray, said: np.ndarray) -> float:
    """Sum of squares between the cells, cell by cell."""
    cells = (states * (1 << np.arange(len(states)))[:, None]).sum(0)
    return sum((cells == c).sum() * (said[cells == c].mean() - said.mean()) ** 2 for c in np.unique(cells))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sets_come_in_the_order_of_what_their_cells_explain(size):
    rng = np.random.default_rng(size)
    states = (rng.random((7, 300)) < rng.uniform(0.02, 0.6, (7, 1))).astype(int)
    said = (states[1] ^ states[4]) + 0.5 * states[2] + rng.normal(0, 0.3, 300)
    by_hand = sorted(combinations(range(7), size), key=lambda c: -between(states[list(c)], said))
    assert best_sets(states, said, size, 5) == by_hand[:5]


def test_a_pair_without_effect_of_its_own_is_found():
    rng = np.random.default_rng(0)
    states = (rng.random((20, 2000)) < 0.5).astype(int)
    assert best_sets(states, (states[3] ^ states[11]).astype(float), 2, 1) == [(3, 11)]


def test_features_that_never_or_always_stand_are_no_trouble():
    states = np.zeros((3, 50), int)
    states[1] = 1
    said = np.linspace(0, 1, 50)
    assert len(best_sets(states, said, 2, 10)) == 3


def test_more_features_than_there_are_give_no_set():
    assert best_sets(np.ones((2, 10), int), np.arange(10.0), 3, 5) == []
