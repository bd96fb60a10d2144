"""The fast rule: cutting planes with a locality shift.

Every evaluation of the network tells a plane that touches ``S``: the cut ``S_i + g_i . (x - H_i)``. A few cuts
together model ``S`` as the lowest of them, and the penalty ``l2 |x|^2`` is known exactly, so the model's best point
``y`` is the answer of a tiny quadratic program. The trial walks a damped step from its centre ``h`` towards ``y``,
evaluates, gains a cut, and makes the point its centre if the objective rose as promised. In a ReLU network ``S`` is
piecewise linear, and a handful of cuts is soon the truth around the optimum. Where ``S`` bends the other way, a cut is
raised by ``l2`` times the squared distance at which it was taken, so that it cannot forbid ground it knows nothing of.

With ``e_i >= 0`` the height of cut ``i`` above ``S`` at the centre, raised, and weights ``a >= 0`` of sum 1,

    gain = min over a of   e . a + l2 |y - h|^2    where   y = sum_i a_i g_i / (2 l2)

is the rise of the objective that the model predicts for the whole way to ``y`` (the dual of the model's maximum).

**Optimality measure**: a trial has converged when the gain predicted for its next step is at most `GAP` of
``l2 |h|^2``. On the optimum of a linear region ``l2 |h|^2`` is the rise of the
objective above the empty map, so the measure is blind to the units and to the offset of ``S``. Where `S` is smooth and
its optimum ill-conditioned that can take long: a trial also ends when `WINDOW` evaluations in a row raised its
objective by less than `LITTLE` of its size.

Source: proximal bundle methods (Lemarechal 1978; Kiwiel 1985) with the network's own penalty as the proximal term, so
that there is no weight to tune. Schedule and shift were chosen by measurement (`benchmarks/rules.py`).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_explorer.rules import Rule, State

CUTS = 6  # kept a trial; a program has rarely more than four in use, and its cost grows with the cube
GAP = 5e-5  # of l2 |h|^2: a move of 0.7 per cent of the map's size is not worth an evaluation
FIRST_STEP = 0.2  # of the way to the model's best point: one cut alone is trusted only so far
GROW, SHRINK = 1.5, 0.5  # of the step after a kept and after a refused point
ENOUGH = 0.1  # of the promised gain: keep the point
WINDOW, LITTLE = 10, 1e-3  # evaluations in a row that are worth it if they raise the objective by this share of it
UNUSED = 1e30  # the height of a cut that is not there
SMALL = 2**18  # numbers in all maps; below, the price of an operation is that of calling it

#: What follows is written once, for `numpy` and `torch` alike: both have these names and operators. Small work on the
#: CPU runs in NumPy, whose calls cost half of torch's; the rest, and everything on a GPU, in torch.
Array = Any


class CuttingPlanes(Rule):
    """Cutting planes with a locality shift; see the module's text.

    ``score`` and ``objective`` of a state belong to its centre ``h``, the answer. A slot that is done stays at the
    point it evaluated last, and evaluating it again changes nothing.

    Parameters
    ----------
    l2 : weight of ``|H|^2``.
    max_steps : evaluations at the most.
    first_step : share of the way to the model's best point that the first step takes. 1.0 is right for a tail known to
        be linear (`dr_explorer.scale.is_linear`): the second evaluation stands on the optimum, ``grad S / (2 l2)``, and
        confirms it. With the default it is the sixth.
    """

    name = "fast"

    def __init__(self, *, l2: float, max_steps: int, first_step: float = FIRST_STEP) -> None:
        super().__init__(l2=l2, max_steps=max_steps)
        self.first_step = first_step

    def begin(self, maps: Tensor) -> State:
        n, size = maps.shape
        # Apple's GPUs have no float64; there the gap is resolved to about 1e-5, which is still enough.
        exact = torch.float32 if maps.device.type == "mps" else torch.float64
        state = super().begin(maps)
        index = torch.zeros_like(state["steps"])
        return state | {
            "h": maps.clone(),
            "cuts": maps.new_zeros(n, CUTS, size),  # g_i
            "points": maps.new_zeros(n, CUTS, size),  # H_i
            "norms": maps.new_zeros(n, CUTS),  # |H_i|^2
            "heights": maps.new_full((n, CUTS), UNUSED, dtype=exact),  # of the cuts at the origin, S_i - g_i . H_i
            "gram": maps.new_zeros(n, CUTS, CUTS, dtype=exact),  # g_i . g_j
            "weights": maps.new_zeros(n, CUTS, dtype=exact),  # a
            "centre": index,  # the slot of the cut taken at h
            "slot": index.clone(),  # where the next cut goes
            "step": maps.new_full((n,), self.first_step / GROW),  # share of the way to y
            "enough": maps.new_full((n,), -torch.inf),  # the objective at which x becomes the centre
            "before": maps.new_full((n,), -torch.inf),  # the objective at the start of the window
        }

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        if not _in_numpy(state):
            self._advance(torch, state, score, grad)
            return
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        with np.errstate(all="ignore"):  # a trial that diverges is marked, not announced
            self._advance(np, arrays, score.numpy(), grad.numpy())
        state.update({name: torch.from_numpy(array) for name, array in arrays.items()})

    def reweigh(self, state: State) -> None:
        """Take up trials again after ``l2`` has changed: cuts are cuts of ``S`` and stay; the next point is another."""
        super().reweigh(state)
        begun = (state["steps"] > 0) & ~state["diverged"]
        aimed = {name: tensor.clone() for name, tensor in state.items()}
        aimed["objective"] = state["score"] - self.l2 * state["h"].square().sum(1)
        aimed["step"] = torch.full_like(state["step"], self.first_step)
        aimed["before"] = torch.full_like(state["before"], -torch.inf)
        self._aim(torch, aimed, begun)
        for name, value in aimed.items():
            mask = begun.view(-1, *[1] * (value.ndim - 1))
            state[name] = torch.where(mask, value, state[name])

    def _advance(self, xp: ModuleType, state: dict[str, Array], score: Array, grad: Array) -> None:
        x, slot = state["x"], state["slot"]
        live = ~state["done"]
        state["steps"] += live
        norm = _dot(xp, x, x)
        objective = score - self.l2 * norm
        finite = xp.isfinite(objective + grad.sum(1))
        state["diverged"] |= live & ~finite
        state["done"] |= state["diverged"]

        keep = live & finite & (objective >= state["enough"])
        state["objective"] = xp.where(keep, objective, state["objective"])
        state["score"] = xp.where(keep, score, state["score"])
        state["centre"] = xp.where(keep, slot, state["centre"])
        state["h"] = xp.where(keep[:, None], x, state["h"])
        step = state["step"]
        state["step"] = xp.clip(xp.where(keep, GROW * step, xp.where(live, SHRINK * step, step)), None, 1.0)

        rows, cuts, gram = _rows(xp, slot), state["cuts"], state["gram"]
        grad = xp.where(finite[:, None], grad, 0.0)
        cuts[rows, slot] = grad
        state["points"][rows, slot] = x
        state["norms"][rows, slot] = norm
        height = xp.where(finite, score - _dot(xp, grad, x), UNUSED)
        state["heights"][rows, slot] = xp.asarray(height, dtype=gram.dtype)
        gram[rows, slot] = gram[rows, :, slot] = xp.asarray(_products(cuts, grad), dtype=gram.dtype)
        self._aim(xp, state, live & finite)

    def _stalls(self, xp: ModuleType, state: dict[str, Array], size: Array) -> Array:
        """Whether the window that ends now, if one does, brought too little."""
        objective, turns = state["objective"], state["steps"] % WINDOW == 0
        least = LITTLE * xp.maximum(abs(objective), self.l2 * size)
        slow = turns & (objective - state["before"] <= least)
        state["before"] = xp.where(turns, objective, state["before"])
        return slow

    def _aim(self, xp: ModuleType, state: dict[str, Array], live: Array) -> None:
        """The model's best point, and the next step towards it."""
        h, cuts = state["h"], state["cuts"]
        size, at_h = _dot(xp, h, h), _products(cuts, h)
        away = state["norms"] + size[:, None] - 2 * _products(state["points"], h)  # |h - H_i|^2
        error = xp.maximum(state["heights"] + (at_h - state["score"][:, None]), self.l2 * away)
        weights = simplex_program(xp, state["gram"] / (2 * self.l2), error - at_h, state["weights"] > 0)
        mix = xp.asarray(weights, dtype=h.dtype) / (2 * self.l2)
        towards = (mix[:, None] @ cuts)[:, 0] - h
        gain = _dot(xp, weights, error) + self.l2 * _dot(xp, towards, towards)

        promise = state["step"] * xp.asarray(gain, dtype=h.dtype)
        ends = promise <= GAP * self.l2 * size
        ends |= self._stalls(xp, state, size)
        over = live & (state["steps"] >= self.max_steps) & ~ends
        state["exhausted"] |= over
        state["done"] |= over | (live & ends)
        live = live & ~state["done"]
        state["enough"] = state["objective"] + ENOUGH * promise
        state["x"] = xp.where(live[:, None], h + state["step"][:, None] * towards, state["x"])

        # The next cut takes the place of the one that is least in use and, of those not in use, highest above S.
        rows, idle = _rows(xp, live), error - UNUSED * weights
        idle[rows, state["centre"]] = -2 * UNUSED
        state["slot"] = xp.where(live, idle.argmax(1), state["slot"])
        weights[rows, state["slot"]] = 1.0  # it takes part from the start
        state["weights"] = weights


def _in_numpy(state: State) -> bool:
    return state["x"].device.type == "cpu" and state["x"].numel() <= SMALL


def _dot(xp: ModuleType, a: Array, b: Array) -> Array:
    return np.einsum("ni,ni->n", a, b) if xp is np else (a * b).sum(1)  # torch makes a slow product of matrices of it


def _products(rows: Array, vector: Array) -> Array:
    """``rows[n, i] . vector[n]`` as (n, m); the vector on the left is the faster way round in torch."""
    return (vector[:, None] @ rows.swapaxes(1, 2))[:, 0]


def _rows(xp: ModuleType, like: Array) -> Array:
    return np.arange(len(like)) if xp is np else torch.arange(len(like), device=like.device)


def _ones(xp: ModuleType, like: Array, shape: tuple[int, ...]) -> Array:
    return np.ones(shape, like.dtype) if xp is np else like.new_ones(shape)


TOGETHER, ALONE = 2, 6  # passes over the set of active cuts; see `simplex_program`
RIDGE = 1e-6  # of each diagonal entry: more than the rounding of float32 products
OUT = 1e12  # a diagonal entry that keeps a cut out, in units of the program's own
TINY = 1e-30  # keeps programs of zero gradients regular


def simplex_program(xp: ModuleType, quadratic: Array, linear: Array, active: Array) -> Array:
    """Minimise ``linear . a + a . quadratic . a / 2`` over ``a >= 0``, ``sum(a) = 1``: many small programs at once.

    Primal-dual active sets. With the set of non-zero weights given, the optimum is the solution of a linear system;
    weights that come out negative leave the set, those whose slack is negative enter it. Starting from a good set, two
    exchanges of all such weights together settle most programs. The others might go round in circles that way, and
    exchange one weight at a time, the worst first.

    Parameters
    ----------
    xp : `numpy` or `torch`, whichever the arrays are of.
    quadratic : (n, m, m) positive semidefinite.
    linear : (n, m).
    active : (n, m) bool, the set to start from.

    Returns
    -------
    (n, m) the weights; where the passes did not suffice (one program in thousands), others on the simplex. A trial's
    predicted gain is then too large, never too small, so it cannot stop too early on that account.
    """
    n, m = linear.shape
    own = xp.einsum("nii->ni", quadratic) + TINY
    inside, outside = own * (1 + RIDGE), OUT * (own + abs(linear))
    system, right = _ones(xp, quadratic, (n, m + 1, m + 1)), _ones(xp, linear, (n, m + 1))
    system[:, :m, :m] = quadratic
    system[:, m, m] = 0.0
    right[:, :m] = -linear
    for _ in range(TOGETHER):
        before = active
        weights = _solve(xp, system, right, inside, outside, active)
        active = weights > 0

    # On the CPU a look at the values is free, and the rest are few; a GPU would have to wait for it, and does them all.
    rest = (active ^ before).any(1).nonzero()[0] if xp is np else slice(None)
    if xp is torch or len(rest):
        program, active = [array[rest] for array in (system, right, inside, outside)], active[rest]
        rows = _rows(xp, active)
        for i in range(ALONE):
            found = _solve(xp, *program, active)
            wrong = xp.where((found > 0) ^ active, xp.where(active, -found, OUT * found), -1.0)
            worst = wrong.argmax(1)
            flip = wrong[rows, worst] >= 0
            if i == ALONE - 1 or (xp is np and not flip.any()):
                break
            active[rows, worst] ^= flip
        weights[rest] = found
    weights = xp.clip(weights, 0.0, None)
    return weights / weights.sum(1)[:, None]


def _solve(xp: ModuleType, system: Array, right: Array, inside: Array, outside: Array, active: Array) -> Array:
    """The weights (n, m) of the program restricted to the active ones.

    An inactive weight comes out as its slack over -OUT: next to nothing, but positive if it wants to enter.
    """
    m = active.shape[1]
    xp.einsum("nii->ni", system)[:, :m] = xp.where(active, inside, outside)
    # NumPy's solver would raise for all if one system is singular. The transpose of a symmetric system is laid out as
    # the solver wants it.
    if xp is np:
        return torch.linalg.solve_ex(torch.from_numpy(system).mT, torch.from_numpy(right).unsqueeze(2))[0].numpy()[
            :, :m, 0
        ]
    return torch.linalg.solve_ex(system.mT, right.unsqueeze(2))[0][:, :m, 0]
