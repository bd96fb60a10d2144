"""The fast rule: cutting planes with a locality shift.

Every evaluation of the network tells a plane that touches ``S``: the cut ``S_i + g_i . (x - H_i)``. A few cuts together
model ``S`` as the lowest of them, and the penalty ``l2 |x|^2`` is known exactly, so the model's best point ``y`` is the
answer of a tiny quadratic program. The trial walks a damped step from its centre ``h`` towards ``y``, evaluates, gains a
cut, and keeps the point if the objective rose as promised. In a ReLU network, piecewise linear, a handful of cuts is soon
the truth; where ``S`` bends the other way, a cut is raised by how far away it was taken, so that it cannot forbid ground
it knows nothing about.

With ``e_i >= 0`` the height of cut ``i`` above ``S`` at the centre, and ``a`` on the simplex,

    minimise  e . a + l2 |y - h|^2     over a,   where   y = sum_i a_i g_i / (2 l2)

is the dual of the model's maximum, and its value is the gain the model predicts. **Optimality measure**: a trial has
converged when that gain is below `GAP` of ``l2 |h|^2``: no move of more than one per cent of the map's own size is worth
making. That is blind to the units of ``S`` and to its offset.

Source: proximal bundle methods (Lemarechal; Kiwiel 1985) with the network's own penalty as the proximal term, so that there
is no weight to tune; the schedule and the shift were chosen by measurement.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dr_explorer.rules import Rule, State, finite

CUTS = 6  # kept a trial; a program has rarely more than four in use, and its cost grows with the cube
GAP = 1e-4  # of l2 |h|^2: the predicted gain that is not worth an evaluation
FIRST_STEP = 0.2  # of the way to the model's best point: one cut alone is trusted only so far
GROW, SHRINK = 1.5, 0.5  # of the step after a kept and after a refused point
ENOUGH = 0.1  # of the gain promised for the step: keep the point
PIVOTS = 6  # passes over the set of cuts in use; warm-started, two settle almost every program
UNUSED = 1e30  # the height of a cut that is not there
RIDGE = 1e-6  # of each cut's |g|^2: equal gradients are common, and float32 products are no better than this


class CuttingPlanes(Rule):
    """Cutting planes with a locality shift; see the module's text."""

    name = "fast"

    def begin(self, maps: Tensor) -> State:
        n, size = maps.shape
        # Apple's GPUs have no float64; the program is small enough to be right to 1e-4 without.
        exact = torch.float32 if maps.device.type == "mps" else torch.float64
        state = super().begin(maps)
        state |= {
            "h": maps.clone(),
            "objective": maps.new_full((n,), -torch.inf),
            "cuts": maps.new_zeros(n, CUTS, size),  # g_i
            "points": maps.new_zeros(n, CUTS, size),  # H_i
            "heights": maps.new_full((n, CUTS), UNUSED, dtype=exact),  # S_i - g_i . H_i, the cut at the origin
            "gram": maps.new_zeros(n, CUTS, CUTS, dtype=exact),  # g_i . g_j
            "weights": maps.new_zeros(n, CUTS, dtype=exact),  # a
            "slot": torch.zeros_like(state["steps"]),  # where the next cut goes
            "centre": torch.zeros_like(state["steps"]),  # the slot of the cut taken at h
            "step": maps.new_full((n,), FIRST_STEP),
            "promise": maps.new_zeros(n),  # gain that counts as enough for the step to x
        }
        return state

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        x, h, slot = state["x"], state["h"], state["slot"]
        live = ~state["done"]
        good = live & finite(score, grad)
        state["diverged"] |= live & ~good
        state["steps"] += live

        objective = score - self.l2 * x.square().sum(1)
        keep = good & (objective - state["objective"] >= state["promise"])
        refuse = good & ~keep
        factor = torch.where(keep, GROW, torch.where(refuse, SHRINK, 1.0))
        first = state["steps"] == 1
        state["step"] = torch.where(first, state["step"], (state["step"] * factor).clamp(max=1.0))
        state["objective"] = torch.where(keep, objective, state["objective"])
        state["score"] = torch.where(keep, score, state["score"])
        state["centre"] = torch.where(keep, slot, state["centre"])
        torch.where(keep.unsqueeze(1), x, h, out=h)
        self._add_cut(state, good, score, grad)
        self._aim(state, good, state["weights"] > 0)

    def _add_cut(self, state, good, score, grad):
        x, slot = state["x"], state["slot"]
        rows = torch.arange(len(x), device=x.device)
        mask = good.unsqueeze(1)
        grad = torch.where(mask, grad, state["cuts"][rows, slot])
        state["cuts"][rows, slot] = grad
        state["points"][rows, slot] = torch.where(mask, x, state["points"][rows, slot])
        height = score.to(state["heights"].dtype) - (grad * x).sum(1)
        state["heights"][rows, slot] = torch.where(good, height, state["heights"][rows, slot])
        products = torch.bmm(state["cuts"], grad.unsqueeze(2)).squeeze(2).to(state["gram"].dtype)
        state["gram"][rows, slot] = products
        state["gram"][rows, :, slot] = products
        state["weights"][rows, slot] = torch.where(good, 1.0, state["weights"][rows, slot])

    def _aim(self, state, good, active):
        h, gram = state["h"], state["gram"]
        at_h = torch.bmm(state["cuts"], h.unsqueeze(2)).squeeze(2).to(gram.dtype)
        away = (state["points"] - h.unsqueeze(1)).square().sum(2)
        error = state["heights"] + at_h - state["score"].unsqueeze(1)
        error = torch.maximum(error, self.l2 * away)
        weights, slack = simplex_program(gram / (2 * self.l2), error - at_h, state["weights"] > 0)
        y = torch.bmm(weights.to(h.dtype).unsqueeze(1), state["cuts"]).squeeze(1) / (2 * self.l2)
        towards = y - h
        gain = ((weights * error).sum(1) + self.l2 * towards.square().sum(1)).to(h.dtype)
        size = self.l2 * h.square().sum(1)
        converged = good & (gain <= torch.maximum(GAP * size, 4 * torch.finfo(h.dtype).eps * state["score"].abs()))
        state["weights"] = torch.where(good.unsqueeze(1), weights, state["weights"])
        spare = torch.where(weights > 0, -weights, slack)
        spare.scatter_(1, state["centre"].unsqueeze(1), -2.0)
        state["slot"] = torch.where(good, spare.argmax(1), state["slot"])
        state["exhausted"] |= good & ~converged & (state["steps"] >= self.max_steps)
        state["done"] |= converged | state["exhausted"] | state["diverged"]
        state["promise"] = torch.where(good, ENOUGH * state["step"] * gain, state["promise"])
        go = ~state["done"]
        state["x"] = torch.where(go.unsqueeze(1), h + state["step"].unsqueeze(1) * towards, state["x"])


def simplex_program(quadratic, linear, active):
    n, m = linear.shape
    ridge = RIDGE * quadratic.diagonal(dim1=1, dim2=2) + 1e-30
    system = quadratic.new_zeros(n, m + 1, m + 1)
    right = quadratic.new_zeros(n, m + 1)
    right[:, m] = 1.0
    for i in range(PIVOTS):
        on = active.to(quadratic.dtype)
        system[:, :m, :m] = quadratic * (on.unsqueeze(2) * on.unsqueeze(1))
        system.diagonal(dim1=1, dim2=2)[:, :m] += torch.where(active, ridge, 1.0)
        system[:, :m, m] = on
        system[:, m, :m] = on
        right[:, :m] = -linear * on
        answer = torch.linalg.solve_ex(system, right)[0]
        weights, level = answer[:, :m], answer[:, m:]
        slack = linear + torch.bmm(quadratic, weights.unsqueeze(2)).squeeze(2) + level
        if i < PIVOTS - 1:
            active = torch.where(active, weights, -slack) > 0
    weights = torch.where(active, weights, 0.0).clamp(min=0)
    return weights / weights.sum(1, keepdim=True), slack
