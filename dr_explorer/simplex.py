"""Many small quadratic programs over the simplex at once: how to weigh a few cuts so that their model is best.

Written once for `numpy` and `torch`, which both have the names and operators used here. Small work on the CPU runs in
NumPy, whose calls cost half of torch's; the rest, and everything on a GPU, in torch, without a look at a value. The
linear systems are eliminated right here, an entry of all of them at a time: a library's solver, made for one large
system, takes as long for these and drives the network's own code out of the processor's cache.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch

Array = Any  # of numpy or of torch

EXCHANGES = 2  # of one weight at a time, after the first exchange of all wrong ones; see `simplex_program`
RIDGE = 1e-6  # of each diagonal entry: more than the rounding of float32 products
FLAT = 1e-9  # of each linear entry, for programs without a quadratic part
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
    quadratic : (n, m, m) symmetric positive semidefinite.
    linear : (n, m).
    active : (n, m) bool, the weights that were not zero in the last program.
    corner : (n,) int, the weight that is new in this one.

    Returns
    -------
    (n, m) the weights; where the exchanges did not suffice (two programs in a hundred), others on the simplex.
    """
    rows = count(xp, corner)
    slope = linear + quadratic[rows, corner]
    active = active & (slope < slope[rows, corner][:, None])
    active[rows, corner] = True
    weights = _solve(xp, quadratic, linear, active)
    positive = weights > 0

    # On the CPU a look at the values is free, and the rest are few; a GPU would have to wait for it, and does them all.
    rest = (positive ^ active).any(1).nonzero()[0] if xp is np else slice(None)
    if xp is torch or len(rest):
        quadratic, linear, active = quadratic[rest], linear[rest], positive[rest]
        found, rows = _solve(xp, quadratic, linear, active), count(xp, active)
        for _ in range(EXCHANGES - 1):
            wrong = xp.where((found > 0) ^ active, xp.where(active, -found, OUT * found), -1.0)
            worst = wrong.argmax(1)
            active[rows, worst] ^= wrong[rows, worst] >= 0
            found = _solve(xp, quadratic, linear, active)
        weights[rest] = found
    weights = weights * (weights > 0)
    return weights / weights.sum(1)[:, None]


def count(xp: ModuleType, like: Array) -> Array:
    """0, 1, ... for each row of an array."""
    return np.arange(len(like)) if xp is np else torch.arange(len(like), device=like.device)


def _solve(xp: ModuleType, quadratic: Array, linear: Array, active: Array) -> Array:
    """The weights (n, m) of the program restricted to the active ones.

    An inactive weight comes out as its slack over -OUT: next to nothing, but positive if it wants to enter.

    With ``P`` the quadratic part and a ridge, ``a = mu P^-1 1 - P^-1 linear``, where ``mu`` makes the sum 1. ``P`` is
    positive definite, so that no pivot need be looked for.
    """
    n, m = linear.shape
    system = _ones(xp, linear, (m, m + 2, n))  # programs last: every operation runs along them
    system[:, :m] = quadratic.T if xp is np else quadratic.permute(2, 1, 0)
    system[:, m] = linear.T
    diagonal = system.reshape(m * (m + 2), n)[:: m + 3]
    size = abs(linear.T)
    diagonal += xp.where(active.T, RIDGE * diagonal + FLAT * size, OUT * (diagonal + size)) + TINY
    for k in range(m):
        row = system[k, k + 1 :] / system[k, k]
        system[:, k + 1 :] -= system[:, k, None] * row
        system[k, k + 1 :] = row
    of_linear, of_one = system[:, m], system[:, m + 1]
    return ((1 + of_linear.sum(0)) / of_one.sum(0) * of_one - of_linear).T


def _ones(xp: ModuleType, like: Array, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, like.dtype) if xp is np else like.new_ones(shape)
