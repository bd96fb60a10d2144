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
objective above the empty map, so the measure is blind to the units and to the offset of ``S``. Where the tail is
linear the first cut is the truth: the second evaluation shows it, the third is the optimum.

Source: proximal bundle methods (Lemarechal 1978; Kiwiel 1985) with the network's own penalty as the proximal term, so
that there is no weight to tune. Schedule and shift were chosen by measurement (`benchmarks/rules.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from dr_explorer.rules import Rule, State

CUTS = 6  # kept a trial; a program has rarely more than four in use, and its cost grows with the cube
GAP = 3e-5  # of l2 |h|^2: a move of half a per cent of the map's size is not worth an evaluation
FIRST_STEP = 0.2  # of the way to the model's best point: one cut alone is trusted only so far
GROW, SHRINK = 1.5, 0.5  # of the step after a kept and after a refused point
ENOUGH = 0.1  # of the promised gain: keep the point
UNUSED = 1e30  # the height of a cut that is not there


class CuttingPlanes(Rule):
    """Cutting planes with a locality shift; see the module's text.

    ``score`` and ``objective`` of a state belong to its centre ``h``, the answer. A slot that is done goes on standing
    at the point it evaluated last, and evaluating it again changes nothing.
    """

    name = "fast"

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
            "weights": maps.new_zeros(n, CUTS, dtype=exact),  # a
            "centre": index,  # the slot of the cut taken at h
            "slot": index.clone(),  # where the next cut goes
            "step": maps.new_full((n,), FIRST_STEP / GROW),  # share of the way to y
            "enough": maps.new_full((n,), -torch.inf),  # the objective at which x becomes the centre
        }

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        x, cuts, slot = state["x"], state["cuts"], state["slot"].unsqueeze(1)
        n, m, size = cuts.shape
        live = ~state["done"]
        state["steps"] += live
        norm = x.square().sum(1)
        objective = score.sub(norm, alpha=self.l2)
        keep = live & (objective >= state["enough"])  # false for NaN
        state["objective"] = torch.where(keep, objective, state["objective"])
        state["score"] = torch.where(keep, score, state["score"])
        state["centre"] = torch.where(keep, state["slot"], state["centre"])
        state["h"] = torch.where(keep.unsqueeze(1), x, state["h"])
        state["step"] = torch.where(keep, GROW * state["step"], SHRINK * state["step"]).clamp_(max=1.0)

        row = torch.arange(0, n * m, m, device=x.device) + state["slot"]
        cuts.view(n * m, size).index_copy_(0, row, grad)
        state["points"].view(n * m, size).index_copy_(0, row, x)
        state["norms"].scatter_(1, slot, norm.unsqueeze(1))
        height = (score - (grad * x).sum(1)).to(state["heights"].dtype)
        state["heights"].scatter_(1, slot, height.unsqueeze(1))
        self._aim(state, score, live)

    def _aim(self, state: State, score: Tensor, live: Tensor) -> None:
        """The model's best point, and the next step towards it."""
        h, cuts = state["h"], state["cuts"]
        row = h.unsqueeze(1)
        size = h.square().sum(1)
        at_h = torch.bmm(row, cuts.mT).squeeze(1)
        squares = (state["norms"] + size.unsqueeze(1)).unsqueeze(1)
        away = torch.baddbmm(squares, row, state["points"].mT, alpha=-2).squeeze(1)  # |h - H_i|^2
        error = torch.maximum(state["heights"] + (at_h - state["score"].unsqueeze(1)), self.l2 * away)
        gram = torch.bmm(cuts, cuts.mT).to(error.dtype)
        weights = simplex_program(gram / (2 * self.l2), error - at_h, state["weights"] > 0)
        mix = weights.to(cuts.dtype) / (2 * self.l2)
        # Two equal rows: for a single one torch falls back to a kernel that is five times slower on small maps.
        towards = torch.bmm(torch.stack([mix, mix], 1), cuts)[:, 0] - h
        gain = (weights * error).sum(1) + self.l2 * towards.square().sum(1)

        promise = (state["step"] * gain).to(h.dtype)
        ends = promise <= GAP * self.l2 * size
        over = live & (state["steps"] >= self.max_steps)
        bad = ~torch.isfinite(score + promise)
        state["diverged"] |= bad
        state["exhausted"] |= over & ~ends
        state["done"] |= ends | over | bad
        live = ~state["done"]
        state["enough"] = torch.add(state["objective"], promise, alpha=ENOUGH)
        state["x"] = torch.where(live.unsqueeze(1), torch.addcmul(h, state["step"].unsqueeze(1), towards), state["x"])

        # The next cut takes the place of the one that is least in use and, of those not in use, highest above S.
        idle = torch.sub(error, weights, alpha=UNUSED).scatter_(1, state["centre"].unsqueeze(1), -2 * UNUSED)
        state["slot"] = torch.where(live, idle.argmax(1), state["slot"])
        state["weights"] = weights.scatter_(1, state["slot"].unsqueeze(1), 1.0)  # it takes part from the start

    def reweigh(self, state: State) -> None:
        """Take up trials again after ``l2`` has changed: cuts are cuts of ``S`` and stay; the next point is another."""
        super().reweigh(state)
        begun = (state["steps"] > 0) & ~state["diverged"]
        aimed = dict(state)
        aimed["objective"] = state["score"].sub(state["h"].square().sum(1), alpha=self.l2)
        aimed["step"] = torch.full_like(state["step"], FIRST_STEP)
        aimed["weights"], aimed["done"] = state["weights"].clone(), ~begun
        self._aim(aimed, state["score"], begun)
        for name, value in aimed.items():
            mask = begun.view(-1, *[1] * (value.ndim - 1))
            state[name] = torch.where(mask, value, state[name])


TOGETHER, ALONE = 2, 2  # passes over the set of active cuts; see `simplex_program`
RIDGE = 1e-6  # of each diagonal entry: more than the rounding of float32 products
OUT = 1e12  # a diagonal entry that keeps a cut out, in units of the program's own
TINY = 1e-30  # keeps programs of zero gradients regular


def simplex_program(quadratic: Tensor, linear: Tensor, active: Tensor) -> Tensor:
    """Minimise ``linear . a + a . quadratic . a / 2`` over ``a >= 0``, ``sum(a) = 1``: many small programs at once.

    Primal-dual active sets. With the set of non-zero weights given, the optimum is the solution of a linear system;
    weights that come out negative leave the set, those whose slack is negative enter it. Starting from a good set, two
    exchanges of all such weights together settle most programs. The others might go round in circles that way, and
    exchange one weight at a time, the worst first.

    Parameters
    ----------
    quadratic : (n, m, m) positive semidefinite.
    linear : (n, m).
    active : (n, m) bool, the set to start from.

    Returns
    -------
    (n, m) the weights; where the passes did not suffice, some others on the simplex.
    """
    own = quadratic.diagonal(dim1=1, dim2=2) + TINY
    inside, outside = own * (1 + RIDGE), OUT * (own + linear.abs())
    system = pad(quadratic, (0, 1, 0, 1), value=1.0)
    system[:, -1, -1] = 0.0
    right = pad(-linear, (0, 1), value=1.0).unsqueeze(2)
    for _ in range(TOGETHER - 1):
        active = _solve(system, right, inside, outside, active) > 0
    weights = _solve(system, right, inside, outside, active)

    wanted = weights > 0
    # On the CPU a look at the values is free, and the rest few; a GPU would have to wait for it, and does them all.
    rest = (wanted != active).any(1).nonzero().squeeze(1) if active.device.type == "cpu" else slice(None)
    program, active = [t[rest] for t in (system, right, inside, outside)], wanted[rest]
    for i in range(ALONE):
        if i > 0:
            wrong = torch.where(active, -found, OUT * found).masked_fill_((found > 0) == active, -1.0)
            worst = torch.zeros_like(active).scatter_(
                1, wrong.argmax(1, keepdim=True), wrong.amax(1, keepdim=True) >= 0
            )
            active = active ^ worst
        found = _solve(*program, active)
    weights[rest] = found
    weights = weights.clamp_(min=0)
    return weights / weights.sum(1, keepdim=True)


def _solve(system: Tensor, right: Tensor, inside: Tensor, outside: Tensor, active: Tensor) -> Tensor:
    """The weights (n, m) of the program restricted to the active ones.

    An inactive weight comes out as its slack over -OUT: next to nothing, but positive if it wants to enter.
    """
    m = active.shape[1]
    system.diagonal(dim1=1, dim2=2)[:, :m] = torch.where(active, inside, outside)
    # The system is symmetric; its transpose is laid out as the solver wants it.
    return torch.linalg.solve_ex(system.mT, right)[0][:, :m, 0]
