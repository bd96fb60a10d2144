"""A run that is over, read from a `Resolution`: what `Explorer.from_resolution` and a saved page show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dr_explorer.resolution import Resolution
from dr_explorer.trials import Trials

NO_MODEL = "this view shows a saved result and has no model to run"


class Lines(NamedTuple):
    """Convergence lines on the grid they were saved with."""

    step: np.ndarray  # (P,)
    objective: np.ndarray  # (C, T, P)


class Recorded:
    """The part of an `Ascent` that a frame is read from; it does not move."""

    finished = True

    def __init__(self, resolution: Resolution) -> None:
        data = resolution.dataset
        shape = (data.sizes["channel"], *([data.sizes["position"]] if "position" in data.sizes else []))
        self.resolution = resolution
        self.trials = Trials(data.sizes["target"], data.sizes["restart"], shape, int(data.attrs.get("max_steps", 1)))
        for name in ("status", "steps", "score", "objective", "fiv"):
            if name in data:
                setattr(self.trials, name, data[name].values)
        if "trace_objective" in data:
            self.trials.traces = Lines(data.trace_step.values, data.trace_objective.values)
        if "map" in data:
            maps = data["map"].values
            every = "restart" in data["map"].dims
            self.trials.ends = maps if every else _at_best(maps, self.trials)
        self.l2, self.step_size = float(data.attrs.get("l2", np.nan)), float(data.attrs.get("step_size", np.nan))
        self.rule_name = str(data.attrs.get("rule", ""))
        self.n_steps = int(self.trials.steps.max(initial=0))

    def live_fiv(self, target: int) -> np.ndarray:
        return self.trials.fiv[target]

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        return self.trials.map_of(target, restart)

    def prioritise(self, target: int | None) -> None:
        """Nothing waits."""

    def set_l2(self, l2: float) -> None:
        raise RuntimeError(NO_MODEL)

    def set_restarts(self, n: int) -> None:
        raise RuntimeError(NO_MODEL)


def _at_best(maps: np.ndarray, trials: Trials) -> np.ndarray:
    """End points (C, T, ...) that are known only for the best restart of each class."""
    ends = np.full((*trials.status.shape, *trials.shape), np.nan, np.float32)
    best = trials.best_restart()
    known = best >= 0
    ends[np.flatnonzero(known), best[known]] = maps[known]
    return ends
