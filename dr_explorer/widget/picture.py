"""The picture: what a session shows of its run, each part renewed as often as its cost allows.

A frame's cheap parts are read anew each time. Readings over restarts, and over all classes together, are kept and
renewed within a share of the time, so that looking never costs the ascent more than `VIEW_SHARE`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dr_explorer.widget import frames
from dr_explorer.widget.protocol import Message

VIEW_SHARE = 0.03  # of the time, at most, goes into making and sending what is looked at
TREE_SECONDS = 1.0  # between two trees while a run lasts
READING_SECONDS = 0.05  # between two readings of the selected class
LIVE_RESAMPLINGS = 100  # of the restarts, for an interval that still moves; at rest there are as many as by default


class Budget:
    """Lets a thing be done again only when it takes no more than its share of the time.

    What it takes is counted in the thread's own processor time: waiting for the interpreter while a cell computes is no
    cost to anybody. Who comes a little late, because a burst of the ascent had to end first, is due earlier the next
    time, so that the rate is kept.
    """

    def __init__(self, least: float, share: float, most: float = float("inf")) -> None:
        self._least, self._most, self._share = least, most, share  # s between two; share of the time
        self._next = float("-inf")
        self._began = self._at = 0.0

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def spend_anyway(self) -> None:
        self._next = float("-inf")

    def __enter__(self) -> None:
        self._began, self._at = time.thread_time(), time.monotonic()

    def __exit__(self, *_: object) -> None:
        cost = time.thread_time() - self._began
        gap = min(max(self._least, cost / self._share), self._most)
        late = self._at - self._next
        self._next = self._at + gap - (late if late < gap else 0.0)


class Picture:
    """Reads frames and trees from one run; one picture a run.

    Attributes
    ----------
    run : what is shown.
    tree : the last class tree, None before there is one.
    tree_is_new : whether it has changed since somebody set this to False.
    """

    def __init__(self, run: frames.Run) -> None:
        self.run = run
        self.tree: Message | None = None
        self.tree_is_new = False
        self._read_budget = Budget(READING_SECONDS, VIEW_SHARE / 4)
        self._overview_budget = Budget(TREE_SECONDS, VIEW_SHARE / 4)
        self._read_targets: tuple[int, int | None] | None = None
        self._readings: dict[str, np.ndarray] = {}
        self._ofiv: np.ndarray | None = None
        self._sharing = np.zeros(run.trials.shape[0])

    def renew(self) -> None:
        """Something has changed at once (a rest, a new plan): whatever its cost, read all anew."""
        self._read_budget.spend_anyway()
        self._overview_budget.spend_anyway()
        self._read_targets = None

    def look_over(self) -> None:
        """Renew, when it is time, what is read from all classes together: shared channels and the tree."""
        if not self._overview_budget.due():
            return
        with self._overview_budget:
            self._ofiv = frames.all_ofiv(self.run)
            self._sharing = frames.sharing(self._ofiv)
            tree = frames.tree(self._ofiv)
        if tree is not None:
            if self.tree is not None and np.array_equal(self.tree.arrays["linkage"], tree.arrays["linkage"]):
                tree.arrays["support"] = self.tree.arrays["support"]  # counted for this very tree
            self.tree, self.tree_is_new = tree, True

    def supported(self, support: np.ndarray) -> None:
        """The branches' support, counted elsewhere since it takes long, for the tree as it stands."""
        if self.tree is not None:
            self.tree = Message(self.tree.header, {**self.tree.arrays, "support": support})
            self.tree_is_new = True

    def target(self, selection: dict[str, Any]) -> int:
        """The class shown in detail."""
        chosen = selection["target"]
        return int(chosen) if chosen is not None and 0 <= chosen < self.run.trials.n_targets else 0

    def ofiv_of(self, target: int) -> np.ndarray | None:
        """The OFIV (K,) of a class, from the trials that have ended; None before there is one."""
        return None if self._ofiv is None or not np.isfinite(self._ofiv[target]).all() else self._ofiv[target]

    def across_classes(self, channels: list[int]) -> np.ndarray:
        """The OFIVs (C, n) of some channels in every class; NaN where there is none yet."""
        n = self.run.trials.n_targets
        return np.full((n, len(channels)), np.nan) if self._ofiv is None else self._ofiv[:, channels]

    def frame(self, selection: dict[str, Any], heading: dict[str, Any], *, moving: bool) -> Message:
        """The run as it stands, with the selected class in detail; ``heading`` goes into the header."""
        run, trials, target = self.run, self.run.trials, self.target(selection)
        other = selection["other"]
        resamplings = LIVE_RESAMPLINGS if moving else None
        if self._read_targets != (target, other) or self._read_budget.due():
            with self._read_budget:
                self._readings = frames.readings(run, target, resamplings)
                if other is not None and 0 <= other < trials.n_targets:
                    self._readings |= frames.compared(run, other, resamplings)
            self._read_targets = (target, other)
        restart, scale, shown = frames.shown_map(run, target, selection["restart"])
        arrays = {
            **frames.summary(run),
            **frames.detail(run, target),
            **self._readings,
            "sharing": self._sharing,
        }
        if shown is not None:
            arrays["map"] = shown
        if self._ofiv is not None and selection["clade"]:
            arrays |= frames.clade(self._ofiv, selection["clade"])
        header = {
            "type": "frame",
            **heading,
            "step": int(run.n_steps),
            "l2": _known(run.l2),
            "step_size": _known(run.step_size),
            "n_restarts": trials.n_restarts,
            "rule": run.rule_name,
            "target": target,
            "other": None if other is None else int(other),
            "restart": restart,
            "map_scale": scale,
            "counts": trials.counts(),
        }
        return Message(header, arrays)


def _known(value: float) -> float | None:
    """A number that JSON has; None for one that a saved result does not know."""
    return float(value) if np.isfinite(value) else None
