"""A run that is over, read from a `Resolution`: what `Explorer.from_resolution` and a saved page show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from dr_explorer.ascent import CONVERGED, DIVERGED, EXHAUSTED
from dr_explorer.resolution import Resolution


class Recorded:
    """The part of an `Ascent` that a frame is read from; it does not move."""

    finished = True

    def __init__(self, resolution: Resolution) -> None:
        data = resolution.dataset
        self.resolution = resolution
        self.status = data.status.values
        self.score, self.objective = data.score.values, data.objective.values
        self.fiv = data.fiv.values
        self.steps = data.steps.values if "steps" in data else np.zeros_like(self.status, dtype=np.int64)
        empty = np.full((*self.status.shape, 0), np.nan, np.float32)
        self.traces = SimpleNamespace(
            step=data.trace_step.values if "trace_step" in data else np.empty(0),
            objective=data.trace_objective.values if "trace_objective" in data else empty,
        )
        self._maps = data["map"].values if "map" in data else None
        self._every_restart = "map" in data and "restart" in data["map"].dims
        self.l2, self.step_size = float(data.attrs.get("l2", np.nan)), float(data.attrs.get("step_size", np.nan))
        self.rule_name = str(data.attrs.get("rule", ""))
        self.n_steps = int(self.steps.max(initial=0))

    def counts(self) -> dict[str, int]:
        n = np.bincount(self.status.ravel().astype(int), minlength=6)
        names = {"converged": CONVERGED, "exhausted": EXHAUSTED, "diverged": DIVERGED}
        return {"trials": int(self.status.size), "waiting": 0, "running": 0, **{k: int(n[v]) for k, v in names.items()}}

    def live_fiv(self, target: int) -> np.ndarray:
        return self.fiv[target]

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        if self._maps is None:
            return None
        if self._every_restart:
            found = self._maps[target, restart]
        elif np.isfinite(self.objective[target]).any() and restart == np.nanargmax(self.objective[target]):
            found = self._maps[target]
        else:
            return None
        return None if np.isnan(found).any() else found

    def prioritise(self, target: int | None) -> None:
        """Nothing waits."""
