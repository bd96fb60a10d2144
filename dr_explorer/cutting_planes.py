"""The fast rule: cutting planes with a locality shift.

Every evaluation of the network tells a plane that touches ``S``: the cut ``S_i + g_i . (x - H_i)``. A few cuts
together model ``S`` as the lowest of them, and the penalty ``l2 |x|^2`` is known exactly, so the model's best point
``y`` is the answer of a tiny quadratic program. The trial walks a damped step from its centre ``h`` towards ``y``,
evaluates, gains a cut, and makes the point its centre if the objective rose as promised. In a ReLU network ``S`` is
piecewise linear, and a handful of cuts is soon the truth around the optimum. Where ``S`` bends the other way, a cut is
raised by the more the further the centre has moved since it was taken, so that it cannot forbid ground it knows
nothing of, and by as much as it lies below ``S`` at the centre, which proves it wrong there.

With ``e_i >= 0`` the height of cut ``i`` above ``S`` at the centre, raised, and weights ``a >= 0`` of sum 1,

    gain = min over a of   e . a + l2 |y - h|^2    where   y = sum_i a_i g_i / (2 l2)

is the rise of the objective that the model predicts for the whole way to ``y`` (the dual of the model's maximum).

**Which optimum**: a slow ascent ends in the basin its start lies in. So does this one, mostly, because a point must
bring most of what was promised to be kept, and because a step goes only a part of the way, at first a small one: a jump
onto ``y`` itself would land beyond the valleys between. Where next to nothing is left to gain there is no valley to
cross, and the trial goes all the way, for where several pieces of ``S`` meet, short steps tell of one piece again and
again. A trial that has climbed for some evaluations has its basin, and keeps what it gets: to refuse a good part of
what was promised costs every second evaluation on winding ridges.

**Optimality measure**: a trial has converged when the gain predicted for its next step (or, where that is shorter, for
a tenth of the way) is at most `GAP` of ``l2 |h|^2``. On the optimum of a linear region ``l2 |h|^2`` is the rise of the
objective above the empty map, so the measure is blind to the units and to the offset of ``S``. Where `S` is smooth and
its optimum ill-conditioned that can take long: a trial also ends when `WINDOW` evaluations in a row raised its
objective by less than `LITTLE` of its size.

**Cost**: besides the evaluation, a step reads the cuts twice, for the products of the new gradient with the old ones
and for ``y``; everything else follows from numbers (n, `CUTS`) that are carried along.

Source: proximal bundle methods (Lemarechal 1978; Kiwiel 1985, from where the shift by the length of the way) with the
network's own penalty as the proximal term, so that there is no weight to tune. Constants were chosen by measurement
(`benchmarks/rules.py`).
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from dr_explorer.rules import Rule, State
from dr_explorer.simplex import Array, count, simplex_program

CUTS = 5  # kept a trial; a program has rarely more than four in use
GAP = 1e-4  # of l2 |h|^2: a move of one per cent of the map's size is not worth an evaluation
FIRST = 0.3  # of the way to the model's best point: the first step,
GROW, SHRINK = 1.25, 0.6  # which changes so after a kept and after a refused point,
MOST, EARLY = 0.8, 8  # and covers no more than this in so many evaluations
SHORT = 0.1  # of the way: a step that refusals made shorter than this is no sign of convergence
ENOUGH = 0.8  # of the promised gain: keep the point
CLOSE = 4e-3  # of l2 |h|^2: where no more than this is to be gained, steps go all the way,
EASY = 0.1  # and so much of the promised gain is enough,
SETTLED = 6  # as it is after so many evaluations, by which a trial is in the basin that it will end in;
EMPTY = 1e-6  # of the squared way: where |y|^2 is no more than this, it goes all the way to the empty map
SHIFT = 0.35  # of l2 (length of the way)^2; the way winds, and the distance, at which it would be 1, is shorter
WINDOW, LITTLE = 5, 3e-3  # evaluations in a row that are worth it if they raise the objective by this share of it
UNUSED = 1e30  # the height of a cut that is not there
SMALL = 2**18  # numbers in all maps; below, the price of an operation is that of calling it


class CuttingPlanes(Rule):
    """Cutting planes with a locality shift; see the module's text.

    ``score`` and ``objective`` of a state belong to its centre ``h``, the answer. A slot that is done stays at the
    point it evaluated last, and evaluating it again does not change its answer.

    Parameters
    ----------
    l2 : weight of ``|H|^2``.
    max_steps : evaluations at the most.
    first_step : share of the way to the model's best point that the first step takes, and, where more than `MOST`, any
        step may take. 1.0 is right for a tail known to be linear (`dr_explorer.scale.is_linear`): the second evaluation
        stands on the optimum, ``grad S / (2 l2)``, and confirms it.
    """

    name = "fast"

    def __init__(self, *, l2: float, max_steps: int, first_step: float = FIRST) -> None:
        super().__init__(l2=l2, max_steps=max_steps)
        self.first_step = first_step
        self._seen: tuple[State | None, dict[str, Array]] = (None, {})  # a state, and its tensors as NumPy sees them

    def begin(self, maps: Tensor) -> State:
        n, size = maps.shape
        # Apple's GPUs have no float64; there the gap is resolved to about 1e-5, which is still enough.
        exact = torch.float32 if maps.device.type == "mps" else torch.float64

        def numbers(*shape: int, value: float = 0.0) -> Tensor:
            return maps.new_full((n, *shape), value, dtype=exact)

        state = super().begin(maps)
        return state | {
            "h": maps.clone(),
            "size": maps.new_zeros(n),  # |h|^2
            "cuts": maps.new_zeros(n, CUTS, size),  # g_i
            "heights": numbers(CUTS, value=UNUSED),  # of the cuts at the origin, S_i - g_i . H_i
            "gram": numbers(CUTS, CUTS),  # g_i . g_j
            "at_h": numbers(CUTS),  # g_i . h
            "away": numbers(CUTS),  # length of the way from H_i to h
            "active": torch.zeros(n, CUTS, dtype=torch.bool, device=maps.device),  # a_i > 0
            "slot": torch.zeros_like(state["steps"]),  # where the next cut goes
            "step": numbers(value=self.first_step / GROW),  # share of the way to y
            "moved": numbers(),  # |x - h|
            "along": numbers(CUTS),  # g_i . (x - h)
            "enough": numbers(value=-torch.inf),  # the objective at which x becomes the centre
            "before": maps.new_full((n,), -torch.inf),  # the objective at the start of the window
        }

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        if not _in_numpy(state):
            self._advance(torch, state, score, grad)
            return
        if self._seen[0] is not state:
            self._seen = state, {name: tensor.numpy() for name, tensor in state.items()}
        with np.errstate(all="ignore"):  # a trial that diverges is marked, not announced
            self._advance(np, self._seen[1], score.numpy(), grad.numpy())

    def reweigh(self, state: State) -> None:
        """Take up trials again after ``l2`` has changed: cuts are cuts of ``S`` and stay; the next point is another."""
        super().reweigh(state)
        self._seen = (None, {})
        begun = (state["steps"] > 0) & ~state["diverged"]
        aimed = {name: tensor.clone() for name, tensor in state.items()}
        aimed["objective"] = state["score"] - self.l2 * state["size"]
        aimed["step"].fill_(self.first_step)
        aimed["before"].fill_(-torch.inf)
        self._aim(torch, aimed, begun)
        for name, value in aimed.items():
            mask = begun.view(-1, *[1] * (value.ndim - 1))
            state[name] = torch.where(mask, value, state[name])

    def _advance(self, xp: ModuleType, state: dict[str, Array], score: Array, grad: Array) -> None:
        """Take in the evaluation at ``x``, in place: a new cut, and perhaps a new centre."""
        x, h, slot = state["x"], state["h"], state["slot"]
        live = ~state["done"]
        state["steps"] += live
        size, reach = _dot(xp, x, x), _dot(xp, grad, x)
        objective = score - self.l2 * size
        finite = xp.isfinite(objective + reach)  # a product with a vector that is not finite never is
        state["diverged"] |= live & ~finite
        live &= finite

        keep = live & (objective >= state["enough"])
        for name, value in (("objective", objective), ("score", score), ("size", size)):
            _put(xp, state[name], keep, value)
        _put(xp, h, keep[:, None], x)
        state["step"] *= xp.where(keep, GROW, SHRINK)
        state["at_h"] += keep[:, None] * state["along"]
        state["away"] += (keep * state["moved"])[:, None]

        rows, cuts, gram = count(xp, slot), state["cuts"], state["gram"]
        cuts[rows, slot] = grad
        state["heights"][rows, slot] = _as(xp, score - reach, gram)
        state["at_h"][rows, slot] = _as(xp, _dot(xp, grad, h), gram)
        state["away"][rows, slot] = ~keep * state["moved"]
        gram[rows, slot] = gram[rows, :, slot] = _as(xp, _products(xp, cuts, grad), gram)
        self._aim(xp, state, live)

    def _aim(self, xp: ModuleType, state: dict[str, Array], live: Array) -> None:
        """The model's best point, whether to end, and the next step towards it."""
        h, gram, at_h, away, objective = (state[name] for name in ("h", "gram", "at_h", "away", "objective"))
        # A cut below S at the centre is as wrong there as one above it: S bends the other way between.
        error = abs(state["heights"] + (at_h - state["score"][:, None]))
        error = xp.maximum(error, SHIFT * self.l2 * (away * away))
        weights = simplex_program(xp, gram, 2 * self.l2 * (error - at_h), state["active"], state["slot"])
        mix = weights / (2 * self.l2)
        towards = _combined(_as(xp, mix, h), state["cuts"])
        towards -= h
        length = _dot(xp, towards, towards)
        at_y = _products(xp, gram, mix)  # g_i . y
        gain = _dot(xp, weights, error) + self.l2 * length
        least = self.l2 * state["size"]
        settled = state["steps"] >= SETTLED
        close = (gain <= CLOSE * least) | (settled & (_dot(xp, mix, at_y) <= EMPTY * length))
        most = xp.where(state["steps"] >= EARLY, 1.0, max(MOST, self.first_step))
        step = xp.where(close, 1.0, xp.minimum(state["step"], most))
        promise = step * gain

        turns = state["steps"] % WINDOW == 0
        slow = turns & (objective - state["before"] <= LITTLE * xp.maximum(abs(objective), least))
        _put(xp, state["before"], turns, objective)
        ends = slow | (step.clip(SHORT, 1.0) * gain <= GAP * least)
        over = live & ~ends & (state["steps"] >= self.max_steps)
        state["exhausted"] |= over
        live = live & ~(over | ends)
        state["done"] |= ~live

        state["step"][:], state["moved"][:] = step, step * xp.sqrt(length)
        state["enough"][:] = objective + xp.where(close | settled, EASY, ENOUGH) * promise
        state["along"][:] = step[:, None] * (at_y - at_h)
        towards *= _as(xp, step, h)[:, None]
        towards += h
        _put(xp, state["x"], live[:, None], towards)

        # The next cut takes the place of the one that is least in use and, of those not in use, highest above S; never
        # that of the cut taken at h, which alone has no error.
        state["active"][:] = weights > 0
        state["slot"][:] = xp.where(error > 0, error - UNUSED * weights, -2 * UNUSED).argmax(1)


def _in_numpy(state: State) -> bool:
    return state["x"].device.type == "cpu" and state["x"].numel() <= SMALL


def _put(xp: ModuleType, target: Array, where: Array, value: Array) -> None:
    """``target[where] = value[where]``, in place; on a device without asking how many there are."""
    if xp is np:
        np.copyto(target, value, where=where)
    else:
        torch.where(where, value, target, out=target)


def _as(xp: ModuleType, array: Array, like: Array) -> Array:
    return array.astype(like.dtype) if xp is np else array.to(like.dtype)


def _dot(xp: ModuleType, a: Array, b: Array) -> Array:
    return np.einsum("ni,ni->n", a, b) if xp is np else (a * b).sum(1)  # torch makes a slow product of matrices of it


def _products(xp: ModuleType, rows: Array, vector: Array) -> Array:
    """``rows[n, i] . vector[n]`` as (n, m); the vector on the left is the faster way round in torch."""
    return np.einsum("nid,nd->ni", rows, vector) if xp is np else (vector[:, None] @ rows.swapaxes(1, 2))[:, 0]


def _combined(weights: Array, rows: Array) -> Array:
    """``sum over i of weights[n, i] rows[n, i]``."""
    return (weights[:, None] @ rows)[:, 0]
