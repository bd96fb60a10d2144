"""Update rules: how a batch of feature maps climbs ``F(H) = S(H) - l2 * sum(H**2)``.

A rule never evaluates the network. The engine evaluates ``S`` and its gradient at ``state["x"]`` and hands them to
`Rule.update`, which writes the next point. Everything a trial knows lives in the state, a dictionary of tensors whose
first axis is the slot, so trials can leave and enter slots, be parked and be resumed, and none feels its neighbours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

State = dict[str, Tensor]


class Rule(ABC):
    """One way to climb, batched over slots.

    Every state has ``x`` (n, D) the next point to evaluate; ``score`` and ``objective`` (n,) of the answer so far, in
    logits; ``steps`` (n,) evaluations done; ``done`` (n,) and, telling why, ``diverged`` and
    ``exhausted`` (n,). Updates are free of host synchronisation: no ``.item()``, no branch on a tensor's value.
    """

    name: str
    init = "normal"  # where its trials start, unless told otherwise

    def __init__(self, *, l2: float, max_steps: int) -> None:
        self.l2 = l2
        self.max_steps = max_steps

    def begin(self, maps: Tensor) -> State:
        """The state of fresh trials that start at ``maps`` (n, D)."""
        n = len(maps)
        nan = maps.new_full((n,), torch.nan)
        off = torch.zeros(n, dtype=torch.bool, device=maps.device)
        return {
            "x": maps.clone(),
            "score": nan.clone(),
            "objective": nan.clone(),
            "steps": torch.zeros(n, dtype=torch.int64, device=maps.device),
            "done": off.clone(),
            "diverged": off.clone(),
            "exhausted": off.clone(),
        }

    @abstractmethod
    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        """Advance, in place, every slot that is not done.

        Parameters
        ----------
        state : as made by `begin`, possibly with slots exchanged since.
        score : (n,) S at ``state["x"]``, logits.
        grad : (n, D) gradient of S there.
        """

    def answer(self, state: State) -> Tensor:
        """The maps (n, D) that are each trial's answer so far."""
        return state["h"]

    def run_score(self, state: State) -> Tensor:
        """The logits (n,) by which the trials are compared and weighted."""
        return state["score"]

    def reweigh(self, state: State) -> None:
        """Take up trials again after ``l2`` has changed: nobody is done, bests count anew."""
        state["done"].logical_and_(state["diverged"])
        state["exhausted"].zero_()


def finite(score: Tensor, grad: Tensor) -> Tensor:
    """Slots (n,) whose score and whole gradient are finite."""
    # The sum of a non-finite vector is never finite; one pass, no (n, D) mask. An overflowing sum counts as diverged.
    return torch.isfinite(score + grad.sum(1))


class Authors(Rule):
    """The authors' loop, exactly: plain ascent, a decaying rate, the last point kept.

    ``x += rate * (grad S - 2 l2 x)`` with ``rate = step_size`` for the first 500 steps and
    ``max(step_size * (i - 500) ** -0.2, 1e-6)`` from then on; stops after ``patience`` steps in a row without a new
    best objective, or at ``max_steps``. The run's score is the best logit seen, its answer the last point evaluated.

    Source: the authors' released code, re-run on their released models.
    """

    name = "authors"
    init = "uniform"
    FLAT_STEPS = 500  # constant rate until here
    DECAY = -0.2
    LEAST_RATE = 1e-6

    def __init__(self, *, l2: float, step_size: float, patience: int = 10, max_steps: int = 10_000) -> None:
        super().__init__(l2=l2, max_steps=max_steps)
        self.step_size = step_size
        self.patience = patience

    def begin(self, maps: Tensor) -> State:
        state = super().begin(maps)
        state["best_score"] = torch.full_like(state["score"], -torch.inf)
        state["best_objective"] = state["best_score"].clone()
        state["stalled"] = torch.zeros_like(state["steps"])
        return state

    def update(self, state: State, score: Tensor, grad: Tensor) -> None:
        x, steps = state["x"], state["steps"]
        live = ~state["done"]
        good = live & finite(score, grad)
        state["diverged"] |= live & ~good

        objective = score - self.l2 * x.square().sum(1)
        better = good & (objective > state["best_objective"])
        state["best_objective"] = torch.where(better, objective, state["best_objective"])
        state["best_score"] = torch.where(good, torch.maximum(score, state["best_score"]), state["best_score"])
        state["score"] = torch.where(good, score, state["score"])
        state["objective"] = torch.where(good, objective, state["objective"])
        state["stalled"] = torch.where(better, 0, state["stalled"] + good)
        steps += live

        converged = good & (state["stalled"] >= self.patience)
        state["exhausted"] |= good & ~converged & (steps >= self.max_steps)
        state["done"] |= converged | state["exhausted"] | state["diverged"]

        # A trial that stops stays at the point just evaluated: one step more and the end points, which oscillate, lie
        # twice as far from the published ones. Diverged slots keep their last finite point (0 * inf is NaN, so their
        # gradient is masked as well as their rate).
        moves = ~state["done"]
        late = (steps - self.FLAT_STEPS).clamp(min=1).to(x.dtype)
        rate = (self.step_size * late**self.DECAY).clamp(min=self.LEAST_RATE)
        rate = torch.where(moves, rate, 0.0).unsqueeze(1)
        x.addcmul_(rate, torch.where(moves.unsqueeze(1), grad, 0.0) - 2 * self.l2 * x)

    def answer(self, state: State) -> Tensor:
        return state["x"]

    def run_score(self, state: State) -> Tensor:
        return state["best_score"]

    def reweigh(self, state: State) -> None:
        super().reweigh(state)
        state["best_objective"].fill_(-torch.inf)
        state["best_score"].fill_(-torch.inf)
        state["stalled"].zero_()
        state["steps"].zero_()


def make(name: str, *, l2: float, step_size: float, patience: int = 10, max_steps: int = 10_000) -> Rule:
    """The rule called ``name``: ``"authors"`` reproduces the publication, ``"fast"`` finds the optimum.

    Raises
    ------
    ValueError
        For another name.
    """
    if name == "authors":
        return Authors(l2=l2, step_size=step_size, patience=patience, max_steps=max_steps)
    if name == "fast":
        from dr_explorer.cutting_planes import CuttingPlanes

        return CuttingPlanes(l2=l2, max_steps=max_steps)
    raise ValueError(f"no rule {name!r}; rule is 'fast' (finds the optimum) or 'authors' (reproduces the publication)")
