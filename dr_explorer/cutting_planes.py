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

**Optimality measure**: a trial has converged when the gain predicted for its next step is below `GAP` of ``l2 |h|^2``,
or below what the rounding of ``S`` can show. On the optimum of a linear region ``l2 |h|^2`` is the rise of the
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
ROUNDING = 4  # units in the last place of a score that a gain must exceed to be seen
TWINS = 1e-6  # of |g|^2: gradients this near, squared, are one; float32 products tell no finer
UNUSED = 1e30  # the height of a cut that is not there


class CuttingPlanes(Rule):
    """Cutting planes with a locality shift; see the module's text.

    ``score`` and ``objective`` of a state belong to its centre ``h``, the answer.
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
            "objective": torch.full_like(state["objective"], -torch.inf),
            "cuts": maps.new_zeros(n, CUTS, size),  # g_i
            "points": maps.new_zeros(n, CUTS, size),  # H_i
            "norms": maps.new_zeros(n, CUTS),  # |H_i|^2
            "heights": maps.new_full((n, CUTS), UNUSED, dtype=exact),  # of the cuts at the origin, S_i - g_i . H_i
            "gram": maps.new_zeros(n, CUTS, CUTS, dtype=exact),  # g_i . g_j
            "weights": maps.new_zeros(n, CUTS, dtype=exact),  # a
            "centre": index,  # the slot of the cut taken at h
            "slot": index.clone(),  # where the next cut goes
            "step": maps.new_full((n,), FIRST_STEP / GROW),  # share of the way to y
            "promise": maps.new_zeros(n, dtype=exact),  # the gain predicted for x
        }

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        live, x = ~state["done"], state["x"]
        state["steps"] += live
        norm = x.square().sum(1)
        objective = score.sub(norm, alpha=self.l2)
        rise = objective - state["objective"]
        # Comparisons with NaN are false, and an infinite objective is no gain.
        keep = live & (rise >= ENOUGH * state["promise"]) & torch.isfinite(objective)
        state["objective"] = torch.where(keep, objective, state["objective"])
        state["score"] = torch.where(keep, score, state["score"])
        state["h"] = torch.where(keep.unsqueeze(1), x, state["h"])
        state["step"] = torch.where(keep, GROW * state["step"], SHRINK * state["step"]).clamp_(max=1.0)
        self._add_cut(state, score, grad, norm, keep)
        self._aim(state, live, torch.isfinite(objective))

    def _add_cut(self, state: State, score: Tensor, grad: Tensor, norm: Tensor, keep: Tensor) -> None:
        """The cut at ``x`` takes the place of its twin, if it has one, else that of the most idle cut.

        In a slot that is done, ``x`` and its place stay what they were: writing the same cut again changes nothing.
        """
        cuts, gram, x = state["cuts"], state["gram"], state["x"]
        n, m, size = cuts.shape
        square = grad.square().sum(1, keepdim=True)
        products = torch.bmm(cuts, grad.unsqueeze(2)).squeeze(2)
        # Of cuts with one gradient, one linear region, one is enough, and the latest lies nearest the centre.
        apart = gram.diagonal(dim1=1, dim2=2) + square.sub(products, alpha=2)
        nearest, twin = apart.min(1, keepdim=True)
        slot = torch.where(nearest <= TWINS * square, twin, state["slot"].unsqueeze(1))
        state["centre"] = torch.where(keep, slot.squeeze(1), state["centre"])

        row = torch.arange(0, n * m, m, device=x.device) + slot.squeeze(1)
        cuts.view(n * m, size).index_copy_(0, row, grad)
        state["points"].view(n * m, size).index_copy_(0, row, x)
        state["norms"].scatter_(1, slot, norm.unsqueeze(1))
        height = (score - (grad * x).sum(1)).to(gram.dtype)
        state["heights"].scatter_(1, slot, height.unsqueeze(1))
        products = products.scatter_(1, slot, square).to(gram.dtype)
        gram.view(n * m, m).index_copy_(0, row, products)
        gram.scatter_(2, slot.unsqueeze(1).expand(n, m, 1), products.unsqueeze(2))
        state["weights"].scatter_(1, slot, 1.0)

    def _aim(self, state: State, live: Tensor, finite: Tensor) -> None:
        """The model's best point, and the next step towards it."""
        h, score, gram, cuts = state["h"], state["score"], state["gram"], state["cuts"]
        size = h.square().sum(1)
        column = h.unsqueeze(2)
        at_h = torch.bmm(cuts, column).squeeze(2)
        away = torch.bmm(state["points"], column).squeeze(2).mul_(-2).add_(state["norms"]).add_(size.unsqueeze(1))
        error = torch.maximum(state["heights"] + (at_h - score.unsqueeze(1)), self.l2 * away)
        weights = simplex_program(gram / (2 * self.l2), error - at_h, state["weights"] > 0)
        mix = weights.to(cuts.dtype).unsqueeze(1)
        towards = torch.baddbmm(h.unsqueeze(1), mix, cuts, beta=-1, alpha=1 / (2 * self.l2)).squeeze(1)
        gain = (weights * error).sum(1) + self.l2 * towards.square().sum(1)

        state["weights"], state["promise"] = weights, state["step"] * gain
        rounding = ROUNDING * torch.finfo(score.dtype).eps
        ends = state["promise"] <= torch.maximum(GAP * self.l2 * size, rounding * score.abs())
        bad = live & ~(finite & torch.isfinite(gain))
        over = live & (state["steps"] >= self.max_steps) & ~ends
        state["diverged"] |= bad
        state["exhausted"] |= over & ~bad
        state["done"] |= ends | over | bad

        live = ~state["done"]
        idle = torch.where(weights > 0, -weights, error).scatter_(1, state["centre"].unsqueeze(1), -2.0)
        state["slot"] = torch.where(live, idle.argmax(1), state["slot"])
        target = torch.addcmul(h, state["step"].unsqueeze(1), towards)
        state["x"] = torch.where(live.unsqueeze(1), target, state["x"])

    def reweigh(self, state: State) -> None:
        """Cuts are cuts of ``S`` and stay; the model's best point is another."""
        awake = ~state["diverged"]
        super().reweigh(state)
        seen = state["steps"] > 0
        size = state["h"].square().sum(1)
        state["objective"] = torch.where(seen, state["score"] - self.l2 * size, state["objective"])
        state["step"] = torch.where(seen, FIRST_STEP, state["step"])
        fresh = {k: v.clone() for k, v in state.items()}
        self._aim(fresh, awake & seen, seen)
        for name, value in fresh.items():
            mask = seen.view(-1, *[1] * (value.ndim - 1))
            state[name] = torch.where(mask, value, state[name])


PASSES, TOGETHER = 4, 2  # over the set of active cuts; in the first, all that should enter or leave do so together
RIDGE = 1e-6  # of each diagonal entry: more than the rounding of float32 products
OUT = 1e12  # a diagonal entry that keeps a cut out, in units of the program's own
TINY = 1e-30  # keeps programs of zero gradients regular


def simplex_program(quadratic: Tensor, linear: Tensor, active: Tensor) -> Tensor:
    """Minimise ``linear . a + a . quadratic . a / 2`` over ``a >= 0``, ``sum(a) = 1``, many small programs at once.

    Primal-dual active sets: with the set of active (non-zero) weights given, the optimum is a linear system; weights
    that come out negative leave the set, those whose slack is negative enter it.
    """
    m = linear.shape[1]
    own = quadratic.diagonal(dim1=1, dim2=2)
    inside, outside = own * (1 + RIDGE) + TINY, OUT * (own + linear.abs() + TINY)
    system = pad(quadratic, (0, 1, 0, 1), value=1.0)
    system[:, m, m] = 0.0
    right = pad(-linear, (0, 1), value=1.0)
    diagonal = system.diagonal(dim1=1, dim2=2)[:, :m]
    for i in range(PASSES):
        # An inactive weight comes out as its slack over -OUT: next to nothing, but its sign says who wants to enter.
        diagonal.copy_(torch.where(active, inside, outside))
        weights = torch.linalg.solve_ex(system, right)[0][:, :m]
        if i == PASSES - 1:
            break
        wanted = weights > 0
        if i >= TOGETHER:
            # Exchanging all at once may go round in circles: one at a time, the worst first.
            wrong = torch.where(active, -weights, OUT * weights).masked_fill_(wanted == active, -1.0)
            worst = torch.zeros_like(active).scatter_(1, wrong.argmax(1, keepdim=True), True)
            wanted = torch.where(worst, wanted, active)
        active = wanted
    weights = weights.clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
