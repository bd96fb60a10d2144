"""A run as it stands at one moment, copied: what reads it in full takes its time while the run itself goes on."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from dr_explorer.trials import Trials
from dr_explorer.widget import frames


class Frozen:
    """The part of a run that a frame is read from, and of each class the map of its best trial.

    Parameters
    ----------
    run : an `Ascent` or a recorded run. Copied on the thread that owns it: about a millisecond a class.
    """

    def __init__(self, run: frames.Run) -> None:
        whole = run.trials
        self.trials = Trials(whole.n_targets, whole.n_restarts, whole.shape, whole.max_steps, "none")
        for name, _ in Trials.EMPTY:
            setattr(self.trials, name, getattr(whole, name).copy())
        self.trials.traces = deepcopy(whole.traces)
        self.n_steps, self.finished = run.n_steps, run.finished
        self.l2, self.step_size, self.rule_name = run.l2, run.step_size, run.rule_name
        self._fiv = np.stack([run.live_fiv(target) for target in range(whole.n_targets)])
        self._maps: dict[tuple[int, int], np.ndarray] = {}
        for target in range(whole.n_targets):
            best = frames.best_restart(run, target)
            if (found := run.map_of(target, best)) is not None:
                self._maps[target, best] = found.copy()

    def live_fiv(self, target: int) -> np.ndarray:
        return self._fiv[target]

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        return self._maps.get((target, restart))
