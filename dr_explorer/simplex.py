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
FEW = 64  # programs that are solved again together with those that are right: to pick these out takes longer
OUT = 1e12  # a diagonal entry that keeps a weight out, in units of the program's own
TINY = 1e-30  # keeps programs of zeros regular


def simplex_program(xp: ModuleType, quadratic: Array, linear: Array, active: Array, corner: Array) -> Array:
    """Minimise ``linear . a + a . quadratic . a / 2`` over ``a >= 0``, ``sum(a) = 1``.

    Where no other weight lowers the function in the newest one's place, that one alone is the optimum. Else primal-dual
    active sets: with the set of non-zero weights given, the optimum is the solution of a linear system; weights that
    come out negative leave the set, those whose slack is negative enter it. It starts from those of the last set that
    lower the function when they are moved away from the corner of the newest weight, which is right for six programs
    in ten in hard runs and for nine in easy ones. The others exchange all wrong weights at once, and then, since they
    might go round in circles that way, one at a time, the worst first.

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
    # Programs last from here on, so that every operation runs along them.
    linear, rows = linear.T, count(xp, corner)
    slope = linear + quadratic[rows, corner].T
    lower = slope < slope[corner, rows]
    weights = _full(xp, linear, linear.shape, 0.0)
    weights[corner, rows] = 1.0

    # On a CPU a look at the values is free, and work goes on where something is left to do; a GPU would have to wait
    # for it, and does all of it for all.
    rest = lower.any(0).nonzero()[0] if xp is np else rows
    if xp is np and not len(rest):
        return weights.T
    active, corner = lower[:, rest] & active.T[:, rest], corner[rest]
    active[corner, count(xp, corner)] = True
    system, inside, outside = _systems(xp, quadratic[rest], linear[:, rest])
    for exchanges in range(EXCHANGES + 1):
        found = _solve(xp, _copy(xp, system), xp.where(active, inside, outside))
        weights[:, rest] = found
        wrong = (found > 0) ^ active
        if exchanges == EXCHANGES:
            break
        if xp is np:
            left = wrong.any(0).nonzero()[0]
            if not len(left):
                break
            if len(rest) > FEW:
                rest, found, wrong, active = rest[left], found[:, left], wrong[:, left], active[:, left]
                system, inside, outside = system[..., left], inside[:, left], outside[:, left]
        if exchanges == 0:
            active = active ^ wrong
        else:
            badness = xp.where(wrong, xp.where(active, -found, OUT * found), -1.0)
            worst, columns = badness.argmax(0), count(xp, found[0])
            active[worst, columns] ^= badness[worst, columns] >= 0
    weights *= weights > 0
    weights /= weights.sum(0)
    return weights.T


def count(xp: ModuleType, like: Array) -> Array:
    """0, 1, ... for each row of an array."""
    return np.arange(len(like)) if xp is np else torch.arange(len(like), device=like.device)


def _solve(xp: ModuleType, system: Array, diagonal: Array) -> Array:
    """The weights (m, n) of the programs restricted to the active ones; the system (m, m + 2, n) is used up.

    An inactive weight comes out as its slack over -OUT: next to nothing, but positive if it wants to enter.

    With ``P`` the quadratic part and a ridge, ``a = mu P^-1 1 - P^-1 linear``, where ``mu`` makes the sum 1. ``P`` is
    positive definite, so that no pivot need be looked for.
    """
    m = len(system)
    _diagonal(system)[:] = diagonal
    for k in range(m):
        row = system[k, k + 1 :] / system[k, k]
        system[:, k + 1 :] -= system[:, k, None] * row
        system[k, k + 1 :] = row
    of_linear, of_one = system[:, m:].sum(0)
    return (1 + of_linear) / of_one * system[:, m + 1] - system[:, m]


def _systems(xp: ModuleType, quadratic: Array, linear: Array) -> tuple[Array, Array, Array]:
    """What `_solve` takes: systems (m, m + 2, n), and their diagonals (m, n) where a weight is active and where not."""
    m, n = linear.shape
    system = _full(xp, linear, (m, m + 2, n), 1.0)
    system[:, :m] = quadratic.T if xp is np else quadratic.permute(2, 1, 0)
    system[:, m] = linear
    own = _diagonal(system)
    size = own + (abs(linear) + TINY)
    return system, own * (1 + RIDGE) + FLAT * size, OUT * size


def _diagonal(system: Array) -> Array:
    """A view (m, n) of the diagonals of (m, m + 2, n)."""
    m, width, n = system.shape
    return system.reshape(m * width, n)[:: width + 1]


def _full(xp: ModuleType, like: Array, shape: tuple[int, ...], value: float) -> Array:
    return np.full(shape, value, like.dtype) if xp is np else like.new_full(shape, value)


def _copy(xp: ModuleType, array: Array) -> Array:
    return array.copy() if xp is np else array.clone()
