"""Seating: which trials climb now. They take slots, step aside for others, and leave.

The class that someone looks at goes first, and where memory does not do for all slots there are half as many. A trial
that steps aside is noted on the host as it stands, and goes on later from exactly there.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import numpy as np
import torch

from dr_explorer.rules import Rule, State
from dr_explorer.slots import Slots
from dr_explorer.starts import draw_all
from dr_explorer.tail import OUT_OF_MEMORY, Tail
from dr_explorer.trials import RUNNING, WAITING, Trials


class Seating:
    """The slots of one run, and who sits in them.

    Parameters
    ----------
    tail, rule, trials : of the run.
    targets : the output column of each class.
    batch_size : slots at the most.
    random_state, init : of the starts, see `dr_explorer.settings.Settings`.

    Attributes
    ----------
    slots : Slots
    parked : {(class, restart): its state on the host}, of trials that stepped aside.
    first : the class that goes first, or None.
    """

    def __init__(
        self,
        tail: Tail,
        rule: Rule,
        trials: Trials,
        targets: Sequence[int],
        *,
        batch_size: int,
        random_state: int,
        init: str,
    ) -> None:
        self.tail, self.rule, self.trials, self.targets = tail, rule, trials, list(targets)
        self.batch_size, self.random_state, self.init = batch_size, random_state, init
        self.slots = Slots(tail.device)
        self.parked: dict[tuple[int, int], State] = {}
        self.first: int | None = None

    # -- in --------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Let waiting trials into free slots, fewer where memory does not do for all."""
        while (trials := self._next(self.batch_size - len(self.slots))).shape[1]:
            self.trials.reserve()
            try:
                self.slots.append(trials, self._columns_of(trials), self._states(trials))
            except OUT_OF_MEMORY as error:
                self._fewer(len(self.slots) + trials.shape[1], error)
            else:
                self._entered(trials)

    def refill(self, rows: np.ndarray) -> None:
        """Let waiting trials into these very slots, and close up those that nobody comes into."""
        trials = self._next(len(rows))
        n = trials.shape[1]
        if n:
            try:
                self.slots.replace(rows[:n], trials, self._columns_of(trials), self._states(trials))
            except OUT_OF_MEMORY:
                n = 0  # closing up makes room, and `fill` tries again
            else:
                self._entered(trials)
        if n < len(rows):
            self.slots.keep(np.delete(np.arange(len(self.slots)), rows[n:]))

    def prioritise(self, target: int | None) -> None:
        """Let the waiting trials of one class go first, in the slots of others if need be; None: nobody first."""
        self.first = target
        if target is None or len(self.slots) == 0:
            return
        wanted = int((self.trials.status[target] == WAITING).sum())
        free = self.batch_size - len(self.slots)
        others = np.flatnonzero(self.slots.trials[0] != target)
        rows = others[len(others) - max(0, min(wanted - free, len(others))) :]
        if len(rows):  # in their very slots: tensors made anew at every choice would scatter the memory
            self._set_aside(rows)
            self.refill(rows)

    def _next(self, n: int) -> np.ndarray:
        """The next waiting trials (2, at most n)."""
        return self.trials.waiting(max(n, 0), self.first)

    def _columns_of(self, trials: np.ndarray) -> np.ndarray:
        return np.asarray(self.targets)[trials[0]]

    def _states(self, trials: np.ndarray) -> State:
        """The states of trials (2, n) that are to start running, parked ones from where they were."""
        parked = {}
        if self.parked:
            for i, at in enumerate(zip(*trials.tolist(), strict=True)):
                if at in self.parked:
                    parked[i] = self.parked[at]
        if not parked:
            return self._begin(trials)
        new = [i for i in range(trials.shape[1]) if i not in parked]
        states = ([self._begin(trials[:, new])] if new else []) + list(parked.values())
        order = torch.from_numpy(np.argsort([*new, *parked])).to(self.tail.device)
        return {name: torch.cat([s[name].to(self.tail.device) for s in states])[order] for name in states[0]}

    def _begin(self, trials: np.ndarray) -> State:
        warm, size = self.trials.warm[tuple(trials)], int(np.prod(self.tail.shape))
        keys = [(self.targets[target], restart) for target, restart in trials[:, ~warm].T.tolist()]
        maps = draw_all(keys, size, random_state=self.random_state, init=self.init)
        if warm.any():
            cold, maps = maps, np.empty((len(warm), size), np.float32)
            maps[~warm], maps[warm] = cold, self.trials.ends[tuple(trials[:, warm])].reshape(-1, size)
        return self.rule.begin(torch.from_numpy(maps).to(self.tail.device, self.tail.dtype))

    def _entered(self, trials: np.ndarray) -> None:
        """Trials (2, n) have got slots."""
        self.trials.status[tuple(trials)] = RUNNING
        self.trials.warm[tuple(trials)] = False
        if self.parked:
            for at in zip(*trials.tolist(), strict=True):
                self.parked.pop(at, None)

    # -- out -------------------------------------------------------------------------------------------------------

    def park(self, rows: np.ndarray) -> None:
        """Put running trials aside and close up their slots."""
        if len(rows):
            self._set_aside(rows)
            self.slots.keep(np.delete(np.arange(len(self.slots)), rows))

    def drop_restarts(self, n: int) -> None:
        """Only the first ``n`` restarts of every class keep what they have."""
        self.slots.keep(np.flatnonzero(self.slots.trials[1] < n))
        self.parked = {(c, r): state for (c, r), state in self.parked.items() if r < n}

    def halve(self, error: BaseException) -> None:
        """Half of the running trials wait, for all did not fit; MemoryError where that was one."""
        n = len(self.slots)
        self._fewer(n, error)
        self.park(np.arange(self.batch_size, n))

    def _set_aside(self, rows: np.ndarray) -> None:
        """Note, on the host, where running trials are, to go on later from exactly there; they wait."""
        taken = self.slots.taken(rows, torch.device("cpu"))
        for i, (target, restart) in enumerate(self.slots.trials[:, rows].T.tolist()):
            self.parked[target, restart] = {name: tensor[i : i + 1].clone() for name, tensor in taken.items()}
            self.trials.status[target, restart] = WAITING

    def _fewer(self, n: int, error: BaseException) -> None:
        """Half of ``n`` slots from now on, which did not fit."""
        if n <= 1:
            raise MemoryError(
                "one feature map at a time does not fit into memory: choose a later layer, or another device"
            ) from error
        self.batch_size = max(1, n // 2)
        traceback.clear_frames(error.__traceback__)  # what was computed so far lives in there, and fills the memory
        if self.tail.device.type == "cuda":
            torch.cuda.empty_cache()
