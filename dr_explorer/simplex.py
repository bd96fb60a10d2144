"""Many small quadratic programs over the simplex at once: how to weigh a few cuts so that their model is best.

Written once for `numpy` and `torch`, which both have the names and operators used here. Small work on the CPU runs in
NumPy, whose calls cost half of torch's; the rest, and everything on a GPU, in torch, without a look at a value.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch

Array = Any  # of numpy or of torch

EXCHANGES = 2  # of one weight at a time, after the first exchange of all wrong ones; see `simplex_program`
RIDGE = 1e-6  # of each diagonal entry: more than the rounding of float32 products
OUT = 1e12  # a diagonal entry that keeps a weight out, in units of the program's own
TINY = 1e-30  # keeps programs of zeros regular


def simplex_program(xp: ModuleType, quadratic: Array, linear: Array, active: Array, corner: Array) -> Array:
    """Minimise ``linear . a + a . quadratic . a / 2`` over ``a >= 0``, ``sum(a) = 1``.

    Primal-dual active sets: with the set of non-zero weights given, the optimum is the solution of a linear system;
    weights that come out negative leave the set, those whose slack is negative enter it. It starts from those of the
    last set that lower the function when they are moved away from the corner of the newest weight, which is right for
    six programs in ten in hard runs and for nine in easy ones. The others exchange all wrong weights at once, and then,
    since they might go round in circles that way, one at a time, the worst first.

    Parameters
    ----------
    xp : `numpy` or `torch`, whichever the arrays are of.
    quadratic : (n, m, m) positive semidefinite.
    linear : (n, m).
    active : (n, m) bool, the weights that were not zero in the last program.
    corner : (n,) int, the weight that is new in this one.

    Returns
    -------
    (n, m) the weights; where the exchanges did not suffice (two programs in a hundred), others on the simplex.
    """
    n, m = linear.shape
    rows = count(xp, corner)
    slope = linear + quadratic[rows, corner]
    active = active & (slope < slope[rows, corner][:, None])
    active[rows, corner] = True

    system, right = _ones(xp, quadratic, (n, m + 1, m + 1)), _ones(xp, linear, (n, m + 1))
    system[:, :m, :m] = quadratic
    system[:, m, m] = 0.0
    right[:, :m] = -linear
    own = _diagonal(system)[:, :m] + TINY
    inside, outside = own * (1 + RIDGE), OUT * (own + abs(linear))
    weights = _solve(xp, system, right, inside, outside, active)
    positive = weights > 0

    # On the CPU a look at the values is free, and the rest are few; a GPU would have to wait for it, and does them all.
    rest = (positive ^ active).any(1).nonzero()[0] if xp is np else slice(None)
    if xp is torch or len(rest):
        program, active = [array[rest] for array in (system, right, inside, outside)], positive[rest]
        found, rows = _solve(xp, *program, active), count(xp, active)
        for _ in range(EXCHANGES - 1):
            wrong = xp.where((found > 0) ^ active, xp.where(active, -found, OUT * found), -1.0)
            worst = wrong.argmax(1)
            active[rows, worst] ^= wrong[rows, worst] >= 0
            found = _solve(xp, *program, active)
        weights[rest] = found
    weights = weights * (weights > 0)
    return weights / weights.sum(1)[:, None]


def count(xp: ModuleType, like: Array) -> Array:
    """0, 1, ... for each row of an array."""
    return np.arange(len(like)) if xp is np else torch.arange(len(like), device=like.device)


def _solve(xp: ModuleType, system: Array, right: Array, inside: Array, outside: Array, active: Array) -> Array:
    """The weights (n, m) of the program restricted to the active ones.

    An inactive weight comes out as its slack over -OUT: next to nothing, but positive if it wants to enter.
    """
    m = active.shape[1]
    _diagonal(system)[:, :m] = xp.where(active, inside, outside)
    # NumPy's solver is slower, and would raise for all if one system is singular. The transpose of a symmetric system
    # is laid out as the solver wants it.
    if xp is np:
        system, right = torch.from_numpy(system), torch.from_numpy(right)
    found = torch.linalg.solve_ex(system.mT, right.unsqueeze(2))[0][:, :m, 0]
    return found.numpy() if xp is np else found


def _diagonal(system: Array) -> Array:
    """A view (n, m) of the diagonals of contiguous (n, m, m)."""
    n, m = system.shape[:2]
    return system.reshape(n, m * m)[:, :: m + 1]


def _ones(xp: ModuleType, like: Array, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, like.dtype) if xp is np else like.new_ones(shape)
