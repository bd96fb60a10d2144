"""The settings of a run: what may be asked of an ascent, checked in one place before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from dr_explorer.asked import whole_number
from dr_explorer.starts import INITS

KEEP_MAPS = ("best", "all", "none")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How every trial of a run climbs.

    Parameters
    ----------
    n_restarts : trials a class, at the beginning; more may be added.
    l2 : weight of ``sum(H**2)``; None chooses it from the network (`dr_explorer.scale.choose_l2`).
    step_size : of the authors' rule; None scales theirs to ``l2`` (`dr_explorer.scale.choose_step`).
    patience, max_steps : when the authors' rule stops; `max_steps` bounds every rule.
    rule : "fast" or "authors", see `dr_explorer.rules.make`.
    init : "uniform" or "normal", see `dr_explorer.starts.start`; None takes the rule's own, uniform for the authors',
        normal for the fast.
    keep_maps : "best" keeps each class's best map, "all" every trial's, "none" none: memory stays flat.
    batch_size : slots; None fits the device. Halved, and the run goes on, when memory runs out.
    random_state : 0 <= int < 2**64.

    Raises
    ------
    TypeError, ValueError
        For settings of another kind or out of range, naming what came and what was expected.
    """

    n_restarts: int = 10
    l2: float | None = None
    step_size: float | None = None
    patience: int = 10
    max_steps: int = 10_000
    rule: str = "fast"
    init: str | None = None
    keep_maps: str = "best"
    batch_size: int | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in ("n_restarts", "patience", "max_steps"):
            whole_number(name, getattr(self, name))
        expect(self.init in (None, *INITS), "init", self.init, "'uniform' or 'normal'")
        expect(self.keep_maps in KEEP_MAPS, "keep_maps", self.keep_maps, "'best', 'all' or 'none'")
        if self.batch_size is not None:
            whole_number("batch_size", self.batch_size)
        state = whole_number("random_state", self.random_state, 0)
        expect(state < 2**64, "random_state", state, "a whole number below 2**64")
        expect(self.l2 is None or positive(self.l2), "l2", self.l2, "None or a positive number")
        expect(self.step_size is None or positive(self.step_size), "step_size", self.step_size, "None or > 0")


def expect(good: bool, name: str, value: Any, expected: str) -> None:
    """Raise ValueError, naming the setting, unless ``good``."""
    if not good:
        raise ValueError(f"{name} is {value!r}; expected {expected}")


def positive(number: float) -> bool:
    """Whether something is a finite number above 0."""
    return isinstance(number, Real) and bool(np.isfinite(number)) and number > 0


def checked_targets(targets: Sequence[int] | None, n_targets: int) -> list[int]:
    """Output columns to climb, each once; None for all. ValueError where they are none, not there or given twice."""
    if targets is None:
        return list(range(n_targets))
    chosen = [int(t) for t in targets]
    if not chosen:
        raise ValueError("targets is empty: give at least one output column, or None for all of them")
    for target in chosen:
        if not 0 <= target < n_targets:
            raise ValueError(f"target {target} is out of range: the network has outputs 0 to {n_targets - 1}")
    if len(set(chosen)) < len(chosen):
        twice = next(t for t in chosen if chosen.count(t) > 1)
        raise ValueError(f"target {twice} is given twice: give each output column once")
    return chosen
