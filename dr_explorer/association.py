"""How much of an output sets of yes-or-no features could explain, whatever their logic: all sets of a size at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def best_sets(states: np.ndarray, said: np.ndarray, size: int, top: int) -> list[tuple[int, ...]]:
    """The sets of features whose states' own mean outputs explain the outputs best, best first.

    Parameters
    ----------
    states : (F, N) 0 or 1.
    said : (N,) outputs.
    size : features in a set, 1-3.
    top : how many sets.

    Notes
    -----
    The share explained is that of the analysis of variance with all interactions: the sum of squares between the 2 **
    size cells. The cells' counts and sums follow from those of "all of these present" by inclusion and exclusion, and
    those of all sets are matrix products.
    """
    states = states.astype(float)
    said = said - said.mean()
    n = len(states)
    if size > n:
        return []
    sets = np.array(list(combinations(range(n), size)))
    counts, sums = _together(states, np.ones_like(said), sets), _together(states, said, sets)
    between = np.zeros(len(sets))
    for present in range(1 << size):
        count, total = _exactly(counts, present, size), _exactly(sums, present, size)
        between += np.divide(total**2, count, out=np.zeros(len(sets)), where=count > 0.5)
    order = np.argsort(-between.round(9), kind="stable")[:top]
    return [tuple(int(k) for k in sets[i]) for i in order]


def _together(states: np.ndarray, weight: np.ndarray, sets: np.ndarray) -> dict[int, np.ndarray]:
    """Summed weight of the sequences that have (at least) a subset of each set's features, by the subset's bits."""
    weighted = states * weight
    size = sets.shape[1]
    one, two = weighted.sum(1), weighted @ states.T
    together = {0: np.full(len(sets), weight.sum())}
    for i in range(size):
        together[1 << i] = one[sets[:, i]]
    for i, j in combinations(range(size), 2):
        together[1 << i | 1 << j] = two[sets[:, i], sets[:, j]]
    if size == 3:
        rows = [(states[:first] * weighted[first]) @ states.T for first in range(len(states))]
        together[7] = np.array([rows[b][a, c] for a, b, c in sets]) if len(sets) else np.zeros(0)
    return together


def _exactly(together: dict[int, np.ndarray], present: int, size: int) -> np.ndarray:
    """The same for those that have exactly a subset: inclusion and exclusion over the supersets."""
    supersets = [bits for bits in range(1 << size) if bits & present == present]
    return sum((-1) ** (bits ^ present).bit_count() * together[bits] for bits in supersets)
