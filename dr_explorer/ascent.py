"""Ascent: every trial (class x restart) of a run, climbing together in slots, a few steps at a time.

Trials are independent. Each starts from a generator keyed by ``(random_state, class, restart)`` and carries all it
knows in its slot, so where it ends does not depend (beyond rounding) on the batch it ran in, on pauses, or on what
was added later. Finished trials leave their slots to waiting ones; the class someone looks at goes first.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_explorer import rules, scale
from dr_explorer.settings import Settings, expect, positive
from dr_explorer.slots import Slots
from dr_explorer.starts import draw_all
from dr_explorer.tail import Tail
from dr_explorer.trials import CONVERGED, DIVERGED, EXHAUSTED, RUNNING, STOPPED, WAITING, Trials

#: Feature-map numbers a step works on at once: enough to fill the device, few enough to stay lively and in memory. With
#: 2**21 on two CPU cores dense tails climb 1.3 to 1.4 times as fast as with twice that, convolutions within 3 per cent.
ELEMENTS_A_STEP = {"cpu": 2**21, "cuda": 2**26}
SMALL_STEP = 2**17  # below this many numbers a step, more than one CPU thread costs more than it brings
#: Evaluations between two looks at the trials; on a GPU each look waits for the device.
BURST = {"cpu": 2, "cuda": 8}
SMALL_BURST = 16  # of small steps on a CPU: there the look costs as much as an evaluation
LINEAR = "the network is linear behind this layer: each class has one optimum, grad S / (2 l2), reached in one step"
COMPACT_SHARE = 0.25  # slots are closed up when this share of them is done and nobody waits;
SMALL_COMPACT_SHARE = 0.5  # of small steps, which hardly get cheaper with fewer slots


class Ascent:
    """All trials of one run; `advance` moves them, everything else looks or changes the plan.

    Parameters
    ----------
    tail : Tail
        From feature maps to logits.
    targets : indices of output columns (the paper's classes); default all.
    **settings : see `dr_explorer.settings.Settings`.

    Raises
    ------
    ValueError
        For settings out of range, targets that do not exist or none at all.
    """

    def __init__(self, tail: Tail, *, targets: Sequence[int] | None = None, **settings: Any) -> None:
        asked = Settings(**settings)
        self.tail = tail
        self.targets = checked_targets(targets, tail.n_targets)
        l2 = scale.choose_l2(tail, self.targets) if asked.l2 is None else float(asked.l2)
        self._own_step = asked.step_size is None
        self.step_size = scale.choose_step(l2) if self._own_step else float(asked.step_size)
        self.patience, self.max_steps, self.random_state = asked.patience, asked.max_steps, int(asked.random_state)
        self.rule_name = asked.rule
        self.rule = rules.make(
            asked.rule, l2=l2, step_size=self.step_size, patience=self.patience, max_steps=self.max_steps
        )
        self.init = asked.init or self.rule.init
        if asked.rule == "fast" and scale.is_linear(tail):
            self.rule.first_step = 1.0  # to the optimum, which the second evaluation confirms
            if LINEAR not in tail.notes:
                tail.notes.append(LINEAR)

        self._kind = "cuda" if tail.device.type == "cuda" else "cpu"
        self._size = int(np.prod(tail.shape))
        self.batch_size = asked.batch_size or max(1, ELEMENTS_A_STEP[self._kind] // self._size)
        self.n_steps = 0  # engine steps so far

        self.trials = Trials(len(self.targets), asked.n_restarts, tail.shape, self.max_steps, asked.keep_maps)
        self._first: int | None = None
        self._slots = Slots(tail.device)
        self._parked: dict[tuple[int, int], rules.State] = {}

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def l2(self) -> float:
        return self.rule.l2

    @property
    def finished(self) -> bool:
        """Whether no trial is running or waiting."""
        return self.trials.finished

    def live_fiv(self, target: int) -> np.ndarray:
        """FIVs (T, K) of one class as they stand now, running trials included; NaN where there is none yet."""
        fiv = self.trials.fiv[target].copy()
        rows = self._slots.rows(target)
        if len(rows):
            maps = self._maps(rows)
            fiv[self._slots.trials[1, rows]] = maps.reshape(*maps.shape[:2], -1).mean(2)
        return fiv

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        """One trial's feature map (K, W) or (K,) as it stands now, or None where it was not kept or has not begun."""
        rows = self._slots.rows(target)
        rows = rows[self._slots.trials[1, rows] == restart]
        return self._maps(rows)[0] if len(rows) else self.trials.map_of(target, restart)

    # -- moving ----------------------------------------------------------------------------------------------------

    def advance(self, steps: int = 8) -> int:
        """Evaluate up to ``steps`` times the gradient of every slot; returns the trial-steps done (0: finished)."""
        done = 0
        small = self._kind == "cpu" and self._step_elements() < SMALL_STEP
        longest = SMALL_BURST if small else BURST[self._kind]
        with _threads(1 if small else None):
            while steps > 0:
                self._fill()
                n = len(self._slots)
                if n == 0:
                    break
                made = self._burst(min(steps, longest))
                done += made * n
                self.n_steps += made
                steps -= made
        return done

    def run(self, progress: Any = None) -> Ascent:
        """Advance to the end; ``progress(finished trials)`` is called now and then."""
        while not self.finished:
            self.advance(32)
            if progress is not None:
                progress(int(self.trials.ended.sum()))
        return self

    def stop(self) -> None:
        """End here: running trials keep what they reached, marked stopped; trials never begun stay without result."""
        if len(self._slots):
            self._store(self._slots.trials, self._slots.state, status=STOPPED)
            self._slots.clear()
        for at, state in self._parked.items():
            self._store(np.array([at]).T, state, status=STOPPED)
        self._parked.clear()
        status = self.trials.status
        status[status == WAITING] = STOPPED

    # -- changing the plan -----------------------------------------------------------------------------------------

    def prioritise(self, target: int | None) -> None:
        """Let the waiting trials of one class go first, in the slots of others if need be; None: nobody first."""
        self._first = target
        if target is None or len(self._slots) == 0:
            return
        wanted = int((self.trials.status[target] == WAITING).sum())
        free = self.batch_size - len(self._slots)
        others = np.flatnonzero(self._slots.trials[0] != target)
        rows = others[len(others) - max(0, min(wanted - free, len(others))) :]
        if len(rows):  # in their very slots: tensors made anew at every choice would scatter the memory
            self._set_aside(rows)
            self._refill(rows)

    def add_restarts(self, n: int) -> None:
        """More restarts of every class; the new ones wait, the old ones stay as they are."""
        expect(n >= 1, "n", n, "at least 1")
        self.trials.grow(self.trials.n_targets, self.trials.n_restarts + n)

    def set_restarts(self, n: int) -> None:
        """Exactly ``n`` restarts a class: more are added, or the last ones dropped with what they found."""
        expect(n >= 1, "n", n, "at least 1")
        if n >= self.trials.n_restarts:
            self.trials.grow(self.trials.n_targets, n)
            return
        self._slots.keep(np.flatnonzero(self._slots.trials[1] < n))
        self._parked = {(c, r): state for (c, r), state in self._parked.items() if r < n}
        self.trials.drop_restarts(n)

    def add_targets(self, targets: Sequence[int]) -> None:
        """More classes, by output column; they wait, the old ones stay as they are."""
        self.targets = checked_targets([*self.targets, *targets], self.tail.n_targets)
        self.trials.grow(len(self.targets), self.trials.n_restarts)

    def set_l2(self, l2: float) -> None:
        """Another ``l2``, and the step size that goes with it, unless one was asked for.

        Running trials go on from where they are, ended ones re-ascend from their end points.

        Where end points are not kept (`keep_maps="none"`, or too large), ended trials start again at random.
        """
        expect(positive(l2), "l2", l2, "a positive number")
        self._take_scale(l2, scale.choose_step(l2) if self._own_step else self.step_size)
        for state in (self._slots.state, *self._parked.values()):
            if state is not None:
                self.rule.reweigh(state)
        self.trials.begin_again()

    def _take_scale(self, l2: float, step_size: float) -> None:
        self.rule.l2, self.step_size = float(l2), float(step_size)
        if isinstance(self.rule, rules.Authors):
            self.rule.step_size = self.step_size  # a step that was right for a small l2 explodes at a large one

    # -- resuming --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later or elsewhere to the same end points: tensors, arrays and plain values."""
        self._park(np.arange(len(self._slots)))
        return {
            "settings": {
                "targets": list(self.targets),
                "l2": self.l2,
                "step_size": self.step_size,
                "patience": self.patience,
                "max_steps": self.max_steps,
                "rule": self.rule_name,
                "random_state": self.random_state,
                "init": self.init,
                "n_steps": self.n_steps,
                "shape": list(self.tail.shape),
            },
            "arrays": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in self.trials.arrays().items()},
            "parked": {f"{c},{r}": dict(state) for (c, r), state in self._parked.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run where `state_dict` left it; the tail must be the same.

        Raises
        ------
        ValueError
            Where the saved run is of another layer, rule, start or random state, or stops otherwise.
        """
        saved = state["settings"]
        mine = {name: getattr(self, name) for name in ("random_state", "init", "patience", "max_steps")}
        mine["rule"] = self.rule_name
        for name, value in {**mine, "shape": list(self.tail.shape)}.items():
            if saved[name] != value:
                raise ValueError(f"the saved run has {name} {saved[name]!r}, this one {value!r}: make it the same way")
        self.targets = checked_targets(saved["targets"], self.tail.n_targets)
        self._take_scale(saved["l2"], saved["step_size"])
        self.n_steps = int(saved["n_steps"])
        self.trials.load({name: tensor.numpy() for name, tensor in state["arrays"].items()})
        self._slots.clear()
        self._parked = {tuple(map(int, at.split(","))): dict(rows) for at, rows in state["parked"].items()}

    # -- in and out of slots ---------------------------------------------------------------------------------------

    @property
    def _many(self) -> float:
        """So many slots that are done are worth closing up."""
        small = self._kind == "cpu" and len(self._slots) * self._size < SMALL_STEP
        return (SMALL_COMPACT_SHARE if small else COMPACT_SHARE) * len(self._slots)

    def _step_elements(self) -> int:
        waiting_or_running = int((self.trials.status <= RUNNING).sum())
        return min(self.batch_size, waiting_or_running) * self._size

    def _maps(self, rows: np.ndarray) -> np.ndarray:
        answers = self.rule.answer(self._slots.state)
        return answers[torch.from_numpy(rows).to(answers.device)].cpu().numpy().reshape(len(rows), *self.tail.shape)

    def _burst(self, steps: int) -> int:
        """Evaluate and update all slots up to ``steps`` times; 0 when memory ran out and the batch was halved.

        Nothing in here asks the device for a value before the end, where all that is looked at comes in one transfer.
        On a CPU, where a look is free, a burst ends early when many slots are done.
        """
        state, shape, seen = self._slots.state, (-1, *self.tail.shape), []
        before = state["steps"].clone()
        try:
            for _ in range(steps):
                score, grad = self.tail.value_and_grad(state["x"].view(shape), self._slots.columns)
                self.rule.update(state, score, grad.reshape(len(grad), -1))
                seen.append(state["objective"].to(torch.float32, copy=True))
                if self._kind == "cpu" and np.count_nonzero(state["done"].numpy()) >= self._many:
                    break
        except (torch.OutOfMemoryError, MemoryError) as error:
            self._halve(error)
            return 0
        now = before, state["steps"], self.rule.run_score(state), state["done"]
        self._harvest(torch.stack([*seen, *(one.to(torch.float32) for one in now)]).cpu().numpy())
        return len(seen)

    def _halve(self, error: BaseException) -> None:
        """Half of the running trials wait; MemoryError where that was one."""
        n = len(self._slots)
        self._fewer(n, error)
        self._park(np.arange(self.batch_size, n))

    def _fewer(self, n: int, error: BaseException) -> None:
        """Half of ``n`` slots from now on, which did not fit."""
        if n <= 1:
            raise MemoryError(
                "one feature map at a time does not fit into memory: choose a later layer, or another device"
            ) from error
        self.batch_size = max(1, n // 2)
        traceback.clear_frames(error.__traceback__)  # what was computed so far lives in there, and fills the memory
        if self._kind == "cuda":
            torch.cuda.empty_cache()

    def _harvest(self, seen: np.ndarray) -> None:
        """Write down what a burst did; let waiting trials into the slots of those that are done, or close up."""
        objective, (before, after, score, done) = seen[:-4], seen[-4:]
        done = done > 0
        # A trial made a step at every evaluation until it was done.
        steps = np.minimum(before + np.arange(1, len(objective) + 1)[:, None], after)
        self.trials.note(*self._slots.trials, steps.astype(np.int64), objective, score)
        if not done.any():
            return
        nobody_waits = not (self.trials.status == WAITING).any()
        if nobody_waits and not done.all() and done.sum() < self._many:
            return
        rows = np.flatnonzero(done)
        self._store(self._slots.trials[:, rows], self._slots.state, torch.from_numpy(rows).to(self.tail.device))
        self._refill(rows)

    def _store(
        self, trials: np.ndarray, state: rules.State, rows: Tensor | slice = slice(None), status: int | None = None
    ) -> None:
        """Write down the end points of trials (2, n), in these rows; ended as the rule says of each, or ``status``."""
        diverged, exhausted = state["diverged"][rows].cpu().numpy(), state["exhausted"][rows].cpu().numpy()
        ended = np.where(exhausted, EXHAUSTED, CONVERGED) if status is None else status
        if status is not None:  # in the middle of a burst, perhaps, of which nothing is written down yet
            for name, value in (("objective", state["objective"]), ("score", self.rule.run_score(state))):
                value = value[rows].cpu().numpy()
                getattr(self.trials, name)[tuple(trials)] = np.where(np.isfinite(value), value, np.nan)
        maps = self.rule.answer(state)[rows].cpu().numpy().reshape(-1, *self.tail.shape)
        self.trials.end(*trials, np.where(diverged, DIVERGED, ended), maps)

    def _park(self, rows: np.ndarray) -> None:
        """Put running trials aside and close up their slots."""
        if len(rows):
            self._set_aside(rows)
            self._slots.keep(np.delete(np.arange(len(self._slots)), rows))

    def _set_aside(self, rows: np.ndarray) -> None:
        """Note, on the host, where running trials are, to go on later from exactly there; they wait."""
        taken = self._slots.taken(rows, torch.device("cpu"))
        for i, (target, restart) in enumerate(self._slots.trials[:, rows].T.tolist()):
            self._parked[target, restart] = {name: tensor[i : i + 1].clone() for name, tensor in taken.items()}
            self.trials.status[target, restart] = WAITING

    def _refill(self, rows: np.ndarray) -> None:
        """Let waiting trials into these very slots, and close up those that nobody comes into."""
        trials = self._next(len(rows))
        n = trials.shape[1]
        if n:
            try:
                self._slots.replace(rows[:n], trials, self._columns_of(trials), self._states(trials))
            except (torch.OutOfMemoryError, MemoryError):
                n = 0  # closing up makes room, and `_fill` tries again
            else:
                self._entered(trials)
        if n < len(rows):
            self._slots.keep(np.delete(np.arange(len(self._slots)), rows[n:]))

    def _fill(self) -> None:
        """Let waiting trials into free slots, fewer where memory does not do for all."""
        while (trials := self._next(self.batch_size - len(self._slots))).shape[1]:
            self.trials.reserve()
            try:
                self._slots.append(trials, self._columns_of(trials), self._states(trials))
            except (torch.OutOfMemoryError, MemoryError) as error:
                self._fewer(len(self._slots) + trials.shape[1], error)
            else:
                self._entered(trials)

    def _next(self, n: int) -> np.ndarray:
        """The next waiting trials (2, at most n)."""
        return self.trials.waiting(max(n, 0), self._first)

    def _columns_of(self, trials: np.ndarray) -> np.ndarray:
        return np.asarray(self.targets)[trials[0]]

    def _states(self, trials: np.ndarray) -> rules.State:
        """The states of trials (2, n) that are to start running, parked ones from where they were."""
        parked = {}
        if self._parked:
            for i, at in enumerate(zip(*trials.tolist(), strict=True)):
                if at in self._parked:
                    parked[i] = self._parked[at]
        if not parked:
            return self._begin(trials)
        new = [i for i in range(trials.shape[1]) if i not in parked]
        states = ([self._begin(trials[:, new])] if new else []) + list(parked.values())
        order = torch.from_numpy(np.argsort([*new, *parked])).to(self.tail.device)
        return {name: torch.cat([s[name].to(self.tail.device) for s in states])[order] for name in states[0]}

    def _entered(self, trials: np.ndarray) -> None:
        """Trials (2, n) have got slots."""
        self.trials.status[tuple(trials)] = RUNNING
        self.trials.warm[tuple(trials)] = False
        if self._parked:
            for at in zip(*trials.tolist(), strict=True):
                self._parked.pop(at, None)

    def _begin(self, trials: np.ndarray) -> rules.State:
        warm = self.trials.warm[tuple(trials)]
        keys = [(self.targets[target], restart) for target, restart in trials[:, ~warm].T.tolist()]
        maps = draw_all(keys, self._size, random_state=self.random_state, init=self.init)
        if warm.any():
            cold, maps = maps, np.empty((len(warm), self._size), np.float32)
            maps[~warm], maps[warm] = cold, self.trials.ends[tuple(trials[:, warm])].reshape(-1, self._size)
        return self.rule.begin(torch.from_numpy(maps).to(self.tail.device, self.tail.dtype))


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


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Run with ``n`` CPU threads (None: as it is) and give the setting back."""
    before = torch.get_num_threads()
    if n is None or n == before:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
