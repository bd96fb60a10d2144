"""Trials: the book of a run. What every trial (class x restart) has reached so far, on the host, moved by nobody.

Shapes: C classes, T restarts, K channels, W positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dr_explorer.trace import Traces

#: The states of a trial. The order is part of the wire and of saved files.
WAITING, RUNNING, CONVERGED, EXHAUSTED, DIVERGED, STOPPED = range(6)
STATES = ("waiting", "running", "converged", "exhausted", "diverged", "stopped")
#: States in which a trial's end point counts.
USABLE = (CONVERGED, EXHAUSTED, STOPPED)

#: End points of every trial are kept up to this size, so that a changed l2 re-ascends from where the maps are.
KEEP_ENDS_BYTES = 2**28


class Trials:
    """Arrays over (class, restart), and the feature maps that are kept.

    Parameters
    ----------
    n_targets, n_restarts : C and T.
    shape : of one feature map, (K, W) or (K,).
    max_steps : of a trial.
    keep_maps : "best", "all" or "none".

    Attributes
    ----------
    status : (C, T) uint8, see `STATES`.
    steps : (C, T) int64 gradient evaluations.
    score, objective : (C, T) float32 logits; NaN before the first step.
    fiv : (C, T, K) float32 of trials that have ended; NaN elsewhere.
    warm : (C, T) bool, trials that are to start from their own last end point.
    ends : (C, T, *shape) float32 end points, None where they are not kept or there is none yet.
    traces : Traces
    """

    #: Every array with one entry (or row) a trial, and what an entry holds before the trial has begun.
    EMPTY: tuple[tuple[str, Any], ...] = (
        ("status", WAITING),
        ("steps", 0),
        ("score", np.nan),
        ("objective", np.nan),
        ("fiv", np.nan),
        ("warm", False),
    )

    def __init__(
        self, n_targets: int, n_restarts: int, shape: tuple[int, ...], max_steps: int, keep_maps: str = "best"
    ) -> None:
        size = (n_targets, n_restarts)
        self.shape, self.max_steps, self.keep_maps = shape, max_steps, keep_maps
        self.status = np.full(size, WAITING, np.uint8)
        self.steps = np.zeros(size, np.int64)
        self.score = np.full(size, np.nan, np.float32)
        self.objective = np.full(size, np.nan, np.float32)
        self.fiv = np.full((*size, shape[0]), np.nan, np.float32)
        self.warm = np.zeros(size, bool)
        self.traces = Traces(*size, max_steps)
        ends = 4 * int(np.prod(shape)) * n_targets * n_restarts
        self._keep_ends = keep_maps == "all" or (keep_maps == "best" and ends <= KEEP_ENDS_BYTES)
        self.ends: np.ndarray | None = None
        self._best_map: np.ndarray | None = None  # (C, *shape), where all ends are too many
        self._best_objective = np.full(n_targets, np.nan, np.float32)  # of those

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def n_targets(self) -> int:
        return self.status.shape[0]

    @property
    def n_restarts(self) -> int:
        return self.status.shape[1]

    @property
    def ended(self) -> np.ndarray:
        """(C, T) trials that neither wait nor run."""
        return self.status >= CONVERGED

    @property
    def finished(self) -> bool:
        return bool(self.ended.all())

    def counts(self) -> dict[str, int]:
        """How many trials there are, and how many in each state."""
        n = np.bincount(self.status.ravel(), minlength=len(STATES))
        return {"trials": int(self.status.size), **{name: int(n[i]) for i, name in enumerate(STATES)}}

    def waiting(self, n: int, first: int | None = None) -> np.ndarray:
        """Class and restart (2, at most n) of waiting trials, class ``first`` before all, then first restarts first."""
        waits = self.status == WAITING
        chosen = np.empty((2, 0), np.int64)
        if n <= 0 or not waits.any():
            return chosen
        if first is not None:
            restarts = np.flatnonzero(waits[first])[:n]
            chosen = np.stack([np.full(len(restarts), first), restarts])
            waits[first] = False
        # Only as many restarts are searched as will do: all of them would take as long as a step.
        enough = int(np.searchsorted(waits.sum(0).cumsum(), n - chosen.shape[1])) + 1
        restarts, targets = np.nonzero(waits[:, :enough].T)
        return np.concatenate([chosen, np.stack([targets, restarts])], axis=1)[:, :n]

    def best_restart(self) -> np.ndarray:
        """(C,) the ended restart with the best objective, -1 where none has ended."""
        usable = np.isin(self.status, USABLE) & np.isfinite(self.objective)
        return np.where(usable.any(1), np.where(usable, self.objective, -np.inf).argmax(1), -1)

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        """An ended trial's feature map, or None where there is none or it was not kept."""
        if self.status[target, restart] not in USABLE:
            return None
        found = None
        if self.ends is not None:
            found = self.ends[target, restart]
        elif self._best_map is not None and self.objective[target, restart] == self._best_objective[target]:
            found = self._best_map[target]
        return None if found is None or np.isnan(found).any() else found

    def best_maps(self) -> np.ndarray:
        """Each class's best trial's map (C, *shape); NaN where none has ended or none was kept."""
        maps = np.full((self.n_targets, *self.shape), np.nan, np.float32)
        for target, restart in enumerate(self.best_restart()):
            if restart >= 0 and (found := self.map_of(target, restart)) is not None:
                maps[target] = found
        return maps

    # -- writing -------------------------------------------------------------------------------------------------------

    def note(
        self, targets: np.ndarray, restarts: np.ndarray, steps: np.ndarray, objective: np.ndarray, score: np.ndarray
    ) -> None:
        """Where some trials stand: steps and objectives (evaluations, n) of the last burst, scores (n,) after it."""
        self.traces.record(targets, restarts, steps, objective)
        self.steps[targets, restarts] = steps[-1]
        self.objective[targets, restarts] = objective[-1]
        self.score[targets, restarts] = score

    def end(
        self,
        targets: np.ndarray,
        restarts: np.ndarray,
        status: np.ndarray,
        fiv: np.ndarray,
        maps: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        """Some trials have ended with ``status`` (n,) at ``fiv`` (n, K).

        ``maps(which)`` gives the feature maps (m, *shape) of those numbered ``which`` (m,) among them. It is asked only
        for what is kept: to bring all of a large run to the host takes longer than its ascent on a GPU.
        """
        self.status[targets, restarts] = status
        good = status != DIVERGED
        self.fiv[targets, restarts] = np.where(good[:, None], fiv, np.nan)
        self.reserve()
        if self._keep_ends:
            which = np.flatnonzero(good)
            self.ends[targets[which], restarts[which]] = maps(which)
            self.ends[targets[~good], restarts[~good]] = np.nan
        elif self.keep_maps != "none":
            self._keep_best(targets, np.where(good, self.objective[targets, restarts], np.nan), maps)

    def reserve(self) -> None:
        """Take the memory for the maps that are kept: before the work, for a lack of it should not come after."""
        if self._keep_ends and self.ends is None:
            self.ends = np.full((*self.status.shape, *self.shape), np.nan, np.float32)
        elif self.keep_maps == "best" and not self._keep_ends and self._best_map is None:
            self._best_map = np.full((self.n_targets, *self.shape), np.nan, np.float32)

    def _keep_best(self, targets: np.ndarray, objective: np.ndarray, maps: Callable[[np.ndarray], np.ndarray]) -> None:
        better: dict[int, int] = {}
        for i, (target, value) in enumerate(zip(targets.tolist(), objective, strict=True)):
            if np.isfinite(value) and not value <= self._best_objective[target]:
                self._best_objective[target], better[target] = value, i
        if better:
            self._best_map[list(better)] = maps(np.array(list(better.values())))

    def grow(self, n_targets: int, n_restarts: int) -> None:
        """Make room for more classes or restarts, which wait."""
        for name, empty in self.EMPTY:
            setattr(self, name, _grown(getattr(self, name), (n_targets, n_restarts), empty))
        self.traces.grow(n_targets, n_restarts)
        self._best_objective = _grown(self._best_objective, (n_targets,), np.nan)
        if self.ends is not None:
            self.ends = _grown(self.ends, (n_targets, n_restarts), np.nan)
        if self._best_map is not None:
            self._best_map = _grown(self._best_map, (n_targets,), np.nan)

    def drop_restarts(self, n: int) -> None:
        """Keep the first ``n`` restarts of every class."""
        for name, _ in self.EMPTY:
            setattr(self, name, getattr(self, name)[:, :n].copy())
        self.traces.load(self.traces.objective[:, :n])
        if self.ends is not None:
            self.ends = self.ends[:, :n].copy()

    def begin_again(self) -> None:
        """What had ended waits again, to start from its own end point where that was kept; lines and values go."""
        again = self.ended
        self.traces.clear(*np.nonzero(self.status != WAITING))
        if self.ends is not None:
            self.warm |= again & np.isfinite(self.ends.reshape(*self.status.shape, -1)[..., 0])
        self.status[again] = WAITING
        self.objective[:] = self.score[:] = np.nan
        self._best_objective[:] = np.nan

    # -- saving --------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, by name, for `load`."""
        kept = {"ends": self.ends, "best_map": self._best_map}
        return {
            **{name: getattr(self, name) for name, _ in self.EMPTY},
            "best_objective": self._best_objective,
            "trace": self.traces.objective,
            **{name: array for name, array in kept.items() if array is not None},
        }

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up what `arrays` gave, whatever the number of classes and restarts."""
        for name, _ in self.EMPTY:
            setattr(self, name, arrays[name].copy())
        self.traces.load(arrays["trace"])
        self._best_objective = arrays["best_objective"].copy()
        self.ends = arrays["ends"].copy() if "ends" in arrays else None
        self._best_map = arrays["best_map"].copy() if "best_map" in arrays else None


def _grown(array: np.ndarray, size: tuple[int, ...], fill: Any) -> np.ndarray:
    pad = [(0, 0)] * array.ndim
    for axis, n in enumerate(size):
        pad[axis] = (0, n - array.shape[axis])
    return np.pad(array, pad, constant_values=fill)
