"""Convergence lines: the objective of every trial over its steps, on one shared grid that thins out as it goes.

All trials share the abscissae, so a line is a row of numbers and its memory does not grow with its length: every
step up to `DENSE`, then `PER_OCTAVE` points each time the number of steps doubles.
"""

from __future__ import annotations

import numpy as np

DENSE = 32  # the first steps are what one looks at while a run starts
PER_OCTAVE = 16  # enough for a smooth line on a log or linear axis a few hundred pixels wide
FIRST_COLUMNS = 64  # a fast trial ends long before these are used up


def grid(max_steps: int) -> np.ndarray:
    """Steps (P,) int64 at which a line has a point, the last at or beyond ``max_steps``."""
    steps = list(range(1, DENSE + 1))
    stride = DENSE // PER_OCTAVE
    while steps[-1] < max_steps:
        steps += range(steps[-1] + stride, 2 * steps[-1] + 1, stride)
        stride *= 2
    return np.asarray(steps)


class Traces:
    """Objectives (C, T, P) of every trial on the shared grid; NaN where a line has not been or has ended."""

    def __init__(self, n_targets: int, n_restarts: int, max_steps: int) -> None:
        self._grid = grid(max_steps)
        self._objective = np.full((n_targets, n_restarts, min(FIRST_COLUMNS, len(self._grid))), np.nan, np.float32)

    @property
    def step(self) -> np.ndarray:
        """Abscissae (P,) of the columns used so far."""
        return self._grid[: self._objective.shape[2]]

    @property
    def objective(self) -> np.ndarray:
        """(C, T, P) logits."""
        return self._objective

    def record(self, target: np.ndarray, restart: np.ndarray, steps: np.ndarray, objective: np.ndarray) -> None:
        """Write a burst: trials (n,), their step counts and objectives (bursts, n) after each evaluation."""
        column = np.minimum(np.searchsorted(self._grid, steps), len(self._grid) - 1)
        kept = self._grid[column] == steps
        if not kept.any():
            return
        if (widest := column[kept].max()) >= self._objective.shape[2]:
            width = min(len(self._grid), max(widest + 1, 2 * self._objective.shape[2]))
            self._objective = _widen(self._objective, 2, width)
        row = np.broadcast_to(target, column.shape)[kept]
        self._objective[row, np.broadcast_to(restart, column.shape)[kept], column[kept]] = objective[kept]

    def clear(self, target: np.ndarray, restart: np.ndarray) -> None:
        """Forget the lines of some trials, which start anew."""
        self._objective[target, restart] = np.nan

    def grow(self, n_targets: int, n_restarts: int) -> None:
        """Make room for more classes or restarts."""
        self._objective = _widen(_widen(self._objective, 0, n_targets), 1, n_restarts)

    def load(self, objective: np.ndarray) -> None:
        """Take up lines that were saved."""
        self._objective = np.array(objective, np.float32)


def _widen(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    pad = [(0, 0)] * array.ndim
    pad[axis] = (0, size - array.shape[axis])
    return np.pad(array, pad, constant_values=np.nan)
