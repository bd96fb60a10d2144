"""Pace: how fast a run goes, how long it has gone, and how long its next burst may be."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

BURST_SECONDS = 0.02  # of ascent between two looks at the queue: a click never waits longer than about this
#: A burst ends here, whatever it was to do: where a cell computes, every step waits its turn within Python, and takes a
#: hundred times as long as the one before.
LONGEST_BURST = 2 * BURST_SECONDS
SMOOTHING = 0.2  # weight of the last burst in the rate: it settles within a few frames


class Pace:
    """The clock of one run. ``rate`` is trial-steps a second, 0 before the first burst."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._burst = 1
        self._before = 0.0  # s, of the stretches that are over
        self._since: float | None = None  # when the present stretch began; None while it is held

    def go(self) -> None:
        self._since = time.monotonic()

    def hold(self) -> None:
        self._before, self._since = self.elapsed, None

    @property
    def elapsed(self) -> float:
        """Seconds the run has gone, without its pauses."""
        return self._before + (0.0 if self._since is None else time.monotonic() - self._since)

    def advance(self, run: Any) -> None:
        """Move a run by one burst, and learn from how long it took."""
        before = time.perf_counter()
        done = run.advance(self._burst, seconds=LONGEST_BURST)
        took = max(time.perf_counter() - before, 1e-6)
        now = done / took
        self.rate = (1 - SMOOTHING) * self.rate + SMOOTHING * now if self.rate else now
        self._burst = int(np.clip(self._burst * BURST_SECONDS / took, 1, 2 * self._burst + 1))
