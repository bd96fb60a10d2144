"""Slots: the trials that are climbing now, side by side in one batch of tensors.

Slot ``i`` is row ``i`` of every tensor. Trials enter and leave without the others noticing; what to let in, and what
becomes of those that leave, is for `dr_explorer.ascent` to say.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dr_explorer.rules import State


class Slots:
    """Which trial is in which slot, and where it stands.

    Attributes
    ----------
    trials : (2, n) int64, class index and restart of the trial in each slot.
    columns : LongTensor (n,), the output column each slot climbs.
    state : see `dr_explorer.rules`; None when there are no slots.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.clear()

    def __len__(self) -> int:
        return self.trials.shape[1]

    def rows(self, target: int) -> np.ndarray:
        """Slots of one class's trials."""
        return np.flatnonzero(self.trials[0] == target)

    def taken(self, rows: np.ndarray, device: torch.device | None = None) -> State:
        """A copy of what some slots hold, on another device where one is given."""
        at = self._index(rows)
        # Tensor by tensor: when trials are put aside, memory is short.
        return {name: tensor.index_select(0, at).to(device or self.device) for name, tensor in self.state.items()}

    def append(self, trials: np.ndarray, columns: np.ndarray, state: State) -> None:
        """More slots, holding trials (2, m)."""
        state = state if self.state is None else {k: torch.cat([t, state[k]]) for k, t in self.state.items()}
        self.state = state
        self.trials = np.concatenate([self.trials, trials], axis=1)
        self.columns = torch.cat([self.columns, self._index(columns)])

    def replace(self, rows: np.ndarray, trials: np.ndarray, columns: np.ndarray, state: State) -> None:
        """Let other trials (2, m) into the slots ``rows`` (m,); in place, so the rest is not copied."""
        at = self._index(rows)
        for name, tensor in state.items():
            self.state[name][at] = tensor
        self.trials[:, rows] = trials
        # Another tensor, for the tail recognises the one it knows.
        self.columns = self.columns.index_copy(0, at, self._index(columns))

    def keep(self, rows: np.ndarray) -> None:
        """Close up to these slots."""
        if len(rows) == 0:
            self.clear()
        elif len(rows) < len(self):
            self.state, self.columns = self.taken(rows), self.columns[self._index(rows)]
            self.trials = self.trials[:, rows]

    def clear(self) -> None:
        """No slots."""
        self.state: State | None = None
        self.trials = np.empty((2, 0), np.int64)
        self.columns: Tensor = torch.empty(0, dtype=torch.int64, device=self.device)

    def _index(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers, np.int64)).to(self.device)
